{#- Refuses a model whose SQL reads more than these models, by itself or through ephemeral ones: of anything else nobody
    would know that it has changed. -#}
{%- macro check_reads(models) -%}
    {%- for read in relations_read(model.depends_on.nodes) if read.name not in models -%}
        {%- do exceptions.raise_compiler_error(
            model.name ~ " is kept by user, and reads " ~ read.name ~ ", of which it is not known when it changes ("
            ~ read.original_file_path ~ "). What is made of events or of one user's rows alone may be materialized as"
            ~ " ephemeral; a model with rows of users (user_id and more) may be named in of_users of " ~ model.name
            ~ "; everything else is for a model that reads " ~ model.name ~ ", such as user_traits"
        ) -%}
    {%- endfor -%}
{%- endmacro -%}

{#- The models, seeds and sources behind these ids; in the place of an ephemeral one, what it reads. -#}
{%- macro relations_read(ids) -%}
    {%- set found = [] -%}
    {%- for id in ids -%}
        {%- set node = graph.sources[id] if id in graph.sources else graph.nodes[id] -%}
        {%- if node.resource_type == 'model' and node.config.materialized == 'ephemeral' -%}
            {%- do found.extend(relations_read(node.depends_on.nodes)) -%}
        {%- else -%}
            {%- do found.append(node) -%}
        {%- endif -%}
    {%- endfor -%}
    {{- return(found) -}}
{%- endmacro -%}
