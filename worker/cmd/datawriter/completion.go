package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// completions are the scripts that let a shell ask the program itself.
var completions = map[string]string{
	"bash": `_datawriter() {
  local words=("${COMP_WORDS[@]:0:$COMP_CWORD}") current="${COMP_WORDS[COMP_CWORD]}"
  [[ "$current" == -* ]] && words+=("$current")
  COMPREPLY=($(compgen -W "$("${words[@]}" --generate-bash-completion 2>/dev/null)" -- "$current"))
}
complete -o bashdefault -o default -F _datawriter datawriter
`,
	"zsh": `#compdef datawriter
_datawriter() {
  local -a options
  local current="${words[-1]}"
  if [[ "$current" == -* ]]; then
    options=("${(@f)$(${words[@]:0:#words[@]-1} ${current} --generate-bash-completion 2>/dev/null)}")
  else
    options=("${(@f)$(${words[@]:0:#words[@]-1} --generate-bash-completion 2>/dev/null)}")
  fi
  _describe 'values' options || _files
}
compdef _datawriter datawriter
`,
}

func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print the completion script of a shell",
		ArgsUsage: "bash|zsh",
		Description: `Examples:
   source <(datawriter completion bash)
   datawriter completion zsh > ~/.zsh/completions/_datawriter; or: datawriter completion fish > ~/.config/fish/completions/datawriter.fish`,
		Action: func(c *cli.Context) error {
			shell := c.Args().First()
			script, ok := completions[shell]
			if shell == "fish" {
				var err error
				if script, err = c.App.ToFishCompletion(); err != nil {
					return err
				}
				ok = true
			}
			if !ok {
				return usage("completion for %q is unknown: use one of %s, fish", shell, strings.Join(slices.Sorted(maps.Keys(completions)), ", "))
			}
			_, err := fmt.Fprint(c.App.Writer, script)
			return err
		},
	}
}
