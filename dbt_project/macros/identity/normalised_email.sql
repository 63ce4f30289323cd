{#- An e-mail address in the one spelling under which it is kept; null if nothing is left, or an id that is blocked.

    Taken away are white space and invisible characters around it, the name and angle brackets of `Name <a@b.c>`, and a
    leading mailto:. What is left is in lower case and in Unicode's normal form C. Nothing is done that could change which
    mailbox is meant: dots and what follows a plus stay, because only some providers ignore them, and nothing is checked. -#}
{%- macro normalised_email(column) -%}
    {%- set address = without_mailto(unicode_lower(bare_address(column))) -%}
    case
        when {{ is_plain_address(column) }} then
            case when {{ blocked_id(column) }} then null else lower({{ column }}) end
        when {{ blocked_id(address) }} then null
        else {{ address }}
    end
{%- endmacro -%}

{#- Whether there is nothing to take away or to compose, as with nearly all addresses: that is told much faster. -#}
{%- macro is_plain_address(text) -%}
    {{- return(adapter.dispatch('is_plain_address', 'tailrace')(text)) -}}
{%- endmacro -%}

{%- macro duckdb__is_plain_address(text) -%}
    regexp_full_match({{ text }}, '[!-;=?-~]*') and not starts_with(lower({{ text }}), 'mailto:')
{%- endmacro -%}

{#- What is in the angle brackets at the end, or all of it; in either case without what is around it. -#}
{%- macro bare_address(text) -%}
    {{- return(adapter.dispatch('bare_address', 'tailrace')(text)) -}}
{%- endmacro -%}

{%- macro duckdb__bare_address(text) -%}
    {%- set blank = around_an_address() -%}
    {%- set trimmed = "regexp_replace(" ~ text ~ ", '^" ~ blank ~ "+|" ~ blank ~ "+$', '', 'g')" -%}
    {%- set bracketed = "'^.*<" ~ blank ~ "*([^<>]*?)" ~ blank ~ "*>$'" -%}
    {{- return("regexp_replace(" ~ trimmed ~ ", " ~ bracketed ~ ", '\\1', 's')") -}}
{%- endmacro -%}

{#- The characters that mean nothing around an address: Unicode's White_Space, and those that take no room, among
    them the marks of direction that come with a copied address. -#}
{%- macro around_an_address() -%}
    {{- return(
        '[\\s\\x{b}\\x{85}\\x{a0}\\x{ad}\\x{1680}\\x{180e}\\x{2000}-\\x{200f}\\x{2028}-\\x{202f}'
        ~ '\\x{205f}\\x{2060}\\x{2066}-\\x{2069}\\x{3000}\\x{feff}]'
    ) -}}
{%- endmacro -%}

{#- Lower case can undo the normal form, as of J with a caron: there is no such capital letter. -#}
{%- macro unicode_lower(text) -%}
    {{- return(adapter.dispatch('unicode_lower', 'tailrace')(text)) -}}
{%- endmacro -%}

{%- macro duckdb__unicode_lower(text) -%}
    {{- return('nfc_normalize(lower(nfc_normalize(' ~ text ~ ')))') -}}
{%- endmacro -%}

{%- macro without_mailto(text) -%}
    {{- return("regexp_replace(" ~ text ~ ", '^mailto:" ~ around_an_address() ~ "*', '')") -}}
{%- endmacro -%}
