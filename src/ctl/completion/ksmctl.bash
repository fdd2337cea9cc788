# bash completion for ksmctl(8)                                            -*- shell-script -*-
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Verbs and options are read off the usage that ksmctl itself prints, so that they are always those
# of the ksmctl that is completed for.

# The names of the verbs: lines of the usage that begin with two blanks.
_ksmctl_verbs() {
        "$1" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p'
}

# What may stand in the place of the word $2 in "[-s|--sort $2]": files, folders, or some words.
_ksmctl_values() {
        local cur=$1
        case $2 in
        FILE*) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
        DIR) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
        COLUMN) mapfile -t COMPREPLY < <(compgen -W 'name pid rss mergeable merged zero profit share unit' -- "$cur") ;;
        *'|'*) mapfile -t COMPREPLY < <(compgen -W "${2//|/ }" -- "$cur") ;;
        esac
}

_ksmctl() {
        local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
        local program=${COMP_WORDS[0]} usage option value verb='' at=0 i
        local -a options=()
        COMPREPLY=()

        # The verb is the first word that is no option and not the folder of --root.
        for ((i = 1; i < COMP_CWORD; i++)); do
                case ${COMP_WORDS[i]} in
                --root)
                        ((i++))
                        # bash splits --root=DIR
                        [[ ${COMP_WORDS[i]} != '=' ]] || ((i++))
                        ;;
                -*) ;;
                *) verb=${COMP_WORDS[i]} at=$i; break ;;
                esac
        done

        if [[ -z $verb ]]; then
                if [[ $prev == --root || $prev == '=' ]]; then
                        _ksmctl_values "${cur#=}" DIR
                elif [[ $cur == -* ]]; then
                        mapfile -t COMPREPLY < <(compgen -W '--root --help --version' -- "$cur")
                else
                        mapfile -t COMPREPLY < <(compgen -W "$(_ksmctl_verbs "$program")" -- "$cur")
                fi
                return
        fi

        # The command of exec is completed as if it stood alone.
        if [[ $verb == exec && $cur != -* ]] || [[ $verb == exec && $at -lt $((COMP_CWORD - 1)) ]]; then
                ((at++))
                [[ ${COMP_WORDS[at]} != -- ]] || ((at++))
                if declare -F _command_offset >/dev/null; then
                        _command_offset "$at"
                elif ((COMP_CWORD == at)); then
                        mapfile -t COMPREPLY < <(compgen -c -- "$cur")
                else
                        _ksmctl_values "$cur" FILE
                fi
                return
        fi

        # "[-s|--sort COLUMN]", one to a line; the usage may be broken into several.
        usage=$("$program" "$verb" --help 2>/dev/null | sed '/^$/,$d' | tr -s '\n ' '  ')
        usage=${usage#*"$verb"}
        [[ $prev != '=' ]] || prev=${COMP_WORDS[COMP_CWORD - 2]}
        while IFS= read -r option; do
                value=''
                [[ $option != *' '* ]] || value=${option#* } option=${option%% *}
                if [[ -n $value && ( $prev == "${option#*|}" || $prev == "${option%|*}" ) ]]; then
                        _ksmctl_values "${cur#=}" "$value"
                        return
                fi
                options+=("${option#*|}")
        done < <(grep -o '\[-[^]]*\]' <<<"$usage" | sed 's/^\[//; s/\]$//')

        if [[ $cur == -* ]]; then
                mapfile -t COMPREPLY < <(compgen -W "${options[*]}" -- "$cur")
        elif grep -q '\(^\| \|\[\)FILE' <(sed 's/\[-[^]]*\]//g' <<<"$usage"); then
                # An operand, not an option's value.
                _ksmctl_values "$cur" FILE
        fi
}

complete -F _ksmctl ksmctl
