package plan

import (
	"fmt"
	"slices"
	"strings"
)

// dockerCommands are the sub-commands that docker steps may have.
var dockerCommands = []string{"build", "tag", "push", "pull", "login", "logout", "save"}

// dockerProblems returns what is wrong with the commands of a docker step: one docker command a line, blank lines and comments
// aside. A backslash at the end of a line continues it.
func dockerProblems(text string) []string {
	var problems []string
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		first := i
		command := strings.TrimSpace(lines[i])
		for strings.HasSuffix(command, `\`) && i+1 < len(lines) {
			i++
			command = strings.TrimSuffix(command, `\`) + " " + strings.TrimSpace(lines[i])
		}
		if command == "" || strings.HasPrefix(command, "#") {
			continue
		}
		if why := dockerProblem(command); why != "" {
			problems = append(problems, fmt.Sprintf("line %d: %s", first+1, why))
		}
	}
	return problems
}

// dockerProblem returns what is wrong with one command, or an empty string.
func dockerProblem(command string) string {
	words := strings.Fields(command)
	allowed := "allowed are docker " + strings.Join(dockerCommands, ", ")
	switch {
	case words[0] != "docker":
		return "the program " + shown(words[0]) + " is not docker; use an sh step for it"
	case len(words) == 1 || !slices.Contains(dockerCommands, words[1]):
		return shown(command) + " is not allowed; " + allowed
	}
	if operator := shellOperator(command); operator != "" {
		return fmt.Sprintf("%q joins commands or moves their output; write one docker command a line", operator)
	}
	return ""
}

// shellOperator returns the first operator of the shell that stands outside of quotes; empty when there is none.
func shellOperator(command string) string {
	var quote rune
	escaped := false
	for _, c := range command {
		switch {
		case escaped:
			escaped = false
		case c == '\\' && quote != '\'':
			escaped = true
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case strings.ContainsRune(";|&<>", c):
			return string(c)
		}
	}
	return ""
}
