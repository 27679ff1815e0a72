package plan

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// What a script hands to another program may be a program itself, as in bash -c '…' or python3 -c '…'. A value must not become part of it.

// role is what a word, or a here-document, is for the program that gets it.
type role struct {
	kind    roleKind
	program string
}

type roleKind int

const (
	data         roleKind = iota
	innerShell            // commands of a shell that has this one's environment: it expands references itself
	remoteShell           // commands of a shell that may not have it: they begin with assignments of the values, quoted
	otherProgram          // the text of a program in another language, which becomes another one with a value in it
)

var (
	shells = []string{"sh", "bash", "dash", "ash", "ksh", "mksh", "zsh"}

	// keepers run a program with the environment that they have.
	keepers = []string{"builtin", "busybox", "command", "exec", "find", "flock", "ionice", "nice", "nohup", "setsid", "stdbuf", "time", "timeout", "xargs"}

	// printers have programs' names among their arguments and run none.
	printers = []string{"echo", "printf", "test", "[", "grep", "which", "type"}

	// interpreters take a program behind one of their options.
	interpreters = []struct{ name, options *regexp.Regexp }{
		{regexp.MustCompile(`^(python|pypy)[0-9.]*$`), regexp.MustCompile(`^-[A-Za-z]*c$`)},
		{regexp.MustCompile(`^(perl|ruby)[0-9.]*$`), regexp.MustCompile(`^-[A-Za-z0-9]*[eE]$`)},
		{regexp.MustCompile(`^(node|nodejs|bun|deno|lua|Rscript|groovy|osascript)$`), regexp.MustCompile(`^(-[a-z]*[ep]|--eval|--print|eval)$`)},
		{regexp.MustCompile(`^php[0-9.]*$`), regexp.MustCompile(`^-[rRBE]$`)},
		{regexp.MustCompile(`^g?sed$`), regexp.MustCompile(`^(-[A-Za-z]*e|--expression)$`)},
	}

	// firstIsProgram take a program as their first argument that is no option.
	firstIsProgram = []string{"awk", "gawk", "mawk", "nawk", "sed", "gsed"}

	promptVariables = []string{"PS0", "PS1", "PS2", "PS3", "PS4", "PROMPT_COMMAND"}
)

// words are the arguments of a call, as far as they are literal.
type words []string

func (w words) at(i int) string {
	if i < len(w) {
		return w[i]
	}
	return ""
}

// readCall finds out which words of a call are programs.
func (c *commandReader) readCall(call *syntax.CallExpr) {
	texts, _ := rolesOf(wordsOf(call))
	for i, r := range texts {
		if i >= len(call.Args) {
			continue
		}
		word := call.Args[i]
		c.setRole(word, r)
		if r.kind == remoteShell {
			c.passOn(call, word)
		}
	}
}

// readInput finds out whether the here-document of a command is a program.
func (c *commandReader) readInput(s *syntax.Stmt) {
	call, ok := s.Cmd.(*syntax.CallExpr)
	if !ok {
		return
	}
	args := wordsOf(call)
	if pipe, ok := c.parent().(*syntax.BinaryCmd); ok && pipe.X == s && args.at(0) == "cat" {
		if next, ok := pipe.Y.Cmd.(*syntax.CallExpr); ok {
			args = wordsOf(next)
		}
	}
	if _, input := rolesOf(args); input.kind != data {
		for _, r := range s.Redirs {
			c.setRole(r, input)
		}
	}
}

func (c *commandReader) setRole(node syntax.Node, r role) {
	if c.roles == nil {
		c.roles = make(map[syntax.Node]role)
	}
	c.roles[node] = r
}

func wordsOf(call *syntax.CallExpr) words {
	w := make(words, len(call.Args))
	for i, arg := range call.Args {
		text, ok := literal(arg)
		if w[i] = text; !ok {
			w[i] = unknownWord
		}
	}
	return w
}

// unknownWord stands for a word whose text is known only when the script runs.
const unknownWord = "\x00"

// rolesOf returns which words of a call are programs, and what its standard input is.
func rolesOf(w words) (texts map[int]role, input role) {
	texts = make(map[int]role)
	first := path.Base(w.at(0))
	switch {
	case len(w) == 0 || slices.Contains(printers, first):
		return texts, role{}
	case first == "eval" || first == "alias":
		for i := 1; i < len(w); i++ {
			texts[i] = role{innerShell, first}
		}
		return texts, role{}
	case first == "trap":
		texts[operand(w, 1)] = role{innerShell, first}
		return texts, role{}
	case (first == "." || first == "source") && w.at(1) == "/dev/stdin":
		return texts, role{innerShell, first}
	}
	for i, word := range w {
		name := path.Base(word)
		switch {
		case slices.Contains(shells, name):
			kind := remoteShell
			if i == 0 || slices.Contains(keepers, first) {
				kind = innerShell
			}
			at, found := shellText(w, i+1)
			if found {
				texts[at] = role{kind, name}
			} else if at >= len(w) {
				input = role{kind, name}
			}
			return texts, input
		case name == unknownWord:
			if at, found := shellText(w, i+1); found { // most likely a shell
				texts[at] = role{remoteShell, "the program"}
				return texts, input
			}
		case name == "ssh" && i < 2:
			if at := sshCommand(w, i+1); at < len(w) {
				texts[at] = role{remoteShell, name}
			} else {
				input = role{remoteShell, name}
			}
		case slices.Contains([]string{"su", "runuser", "script", "flock", "sg"}, name) && i < 2:
			for j := i + 1; j+1 < len(w); j++ {
				if strings.HasPrefix(w[j], "-") && !strings.HasPrefix(w[j], "--") && strings.HasSuffix(w[j], "c") {
					texts[j+1] = role{remoteShell, name}
				}
			}
		default:
			if interpreter(w, i, texts, &input) {
				return texts, input
			}
		}
	}
	return texts, input
}

// operand returns where the first word is that is no option.
func operand(w words, from int) int {
	for from < len(w) && strings.HasPrefix(w[from], "-") && w[from] != "-" {
		from++
	}
	return from
}

// shellText returns where the commands are that a shell gets behind -c; without that option, where the script's name is.
func shellText(w words, from int) (at int, commands bool) {
	for at = from; at < len(w) && len(w[at]) > 1 && (w[at][0] == '-' || w[at][0] == '+'); at++ {
		switch option := w[at]; {
		case strings.HasPrefix(option, "--"):
			if option == "--rcfile" || option == "--init-file" {
				at++
			}
		default:
			commands = commands || strings.Contains(option, "c")
			if strings.HasSuffix(option, "o") || strings.HasSuffix(option, "O") {
				at++ // the option's name
			}
			if strings.Contains(option, "s") {
				return len(w), false
			}
		}
	}
	return at, commands
}

// sshCommand returns where the command is that ssh runs on another machine.
func sshCommand(w words, from int) int {
	const withValue = "BbcDEeFIiJLlmOopQRSWw"
	for from < len(w) && strings.HasPrefix(w[from], "-") {
		if len(w[from]) == 2 && strings.Contains(withValue, w[from][1:]) {
			from++
		}
		from++
	}
	return from + 1 // behind the host
}

// interpreter notes the programs in other languages that a call has at the word i and behind it.
func interpreter(w words, i int, texts map[int]role, input *role) bool {
	name := path.Base(w[i])
	known := false
	for _, in := range interpreters {
		if !in.name.MatchString(name) {
			continue
		}
		known = true
		for j := i + 1; j+1 < len(w); j++ {
			if in.options.MatchString(w[j]) {
				texts[j+1] = role{otherProgram, name}
			}
		}
	}
	if slices.Contains(firstIsProgram, name) {
		at := operand(w, i+1)
		for at < len(w) && at > i+1 && slices.Contains([]string{"-F", "-v"}, w[at-1]) { // with a value of its own
			at = operand(w, at+1)
		}
		if len(texts) == 0 {
			texts[at] = role{otherProgram, name}
		}
		return true
	}
	if known && len(texts) == 0 && operand(w, i+1) >= len(w)-1 && (operand(w, i+1) >= len(w) || w[len(w)-1] == "-") {
		*input = role{otherProgram, name}
	}
	return known
}

// passOn has a word with commands for another shell begin with assignments of the values that they refer to.
func (c *commandReader) passOn(call *syntax.CallExpr, word *syntax.Word) {
	var names []string
	for _, part := range word.Parts {
		q, ok := part.(*syntax.SglQuoted)
		if !ok {
			continue
		}
		for _, name := range c.oursIn(q.Value, q.Left) {
			if !slices.Contains(names, name) && !gives(call, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) > 0 && c.where().backquotes < 2 {
		at := word.Pos().Offset()
		c.edits = append(c.edits, edit{span{at, at}, `"` + c.prefix(names) + `"`})
	}
}

// gives reports whether a call gives a variable to the program itself, as docker run -e X=1 does.
func gives(call *syntax.CallExpr, name string) bool {
	return slices.ContainsFunc(call.Assigns, func(a *syntax.Assign) bool { return a.Name != nil && a.Name.Value == name }) ||
		slices.ContainsFunc(wordsOf(call), func(w string) bool { return strings.HasPrefix(w, name+"=") })
}

// place says where in a script something stands.
type place struct {
	role       role
	nested     bool // it is the output of a command that gets the role
	left       bool // the shell does not take quotes for quotes there
	arithmetic bool
	backquotes int // how many it stands in
}

// parent returns the node that the visited one is in; nil when there is none.
func (c *commandReader) parent() syntax.Node {
	if i := len(c.stack) - 2; i >= 0 {
		return c.stack[i]
	}
	return nil
}

// where looks outwards from the node that is visited.
func (c *commandReader) where() (p place) {
	value, inner := false, true // within an expansion's word; no command in between
	for i := len(c.stack) - 1; i > 0; i-- {
		child := c.stack[i]
		switch n := c.stack[i-1].(type) {
		case *syntax.ParamExp:
			if n.Exp == nil || !removes(n.Exp.Op) {
				value = true
			}
			_, isWord := child.(*syntax.Word)
			p.left = p.left || inner && (n.Slice != nil || n.Repl != nil || n.Index != nil) && isWord
			p.arithmetic = p.arithmetic || inner && (n.Slice != nil || n.Index != nil && child == n.Index)
		case *syntax.DblQuoted:
			p.left = p.left || inner && value
		case *syntax.Redirect:
			here := n.Op == syntax.Hdoc || n.Op == syntax.DashHdoc
			p.left = p.left || inner && here
			if r := c.roles[n]; p.role.kind == data && here {
				p.role, p.nested = r, !inner
			}
		case *syntax.ArithmExp, *syntax.ArithmCmd, *syntax.CStyleLoop, *syntax.LetClause:
			p.left, p.arithmetic = p.left || inner, p.arithmetic || inner
		case *syntax.BinaryTest:
			p.arithmetic = p.arithmetic || inner && comparesNumbers(n.Op)
		case *syntax.UnaryTest:
			p.arithmetic = p.arithmetic || inner && n.Op == syntax.TsVarSet
		case *syntax.Assign:
			index := n.Index != nil && child == n.Index
			p.left = p.left || inner && (index || n.Name != nil && slices.Contains(promptVariables, n.Name.Value))
			p.arithmetic = p.arithmetic || inner && index
		case *syntax.ArrayElem:
			index := n.Index != nil && child == n.Index
			p.left, p.arithmetic = p.left || inner && index, p.arithmetic || inner && index
		case *syntax.CallExpr:
			if word, ok := child.(*syntax.Word); ok && p.role.kind == data {
				p.role, p.nested = c.roles[word], !inner
			}
		case *syntax.CmdSubst:
			inner = false
			if n.Backquotes {
				p.backquotes++
			}
		case *syntax.ProcSubst:
			inner = false
		}
	}
	return p
}

// removes reports whether what follows the operator is a pattern, in which quotes are quotes in any place.
func removes(op syntax.ParExpOperator) bool {
	return slices.Contains([]syntax.ParExpOperator{syntax.RemSmallPrefix, syntax.RemLargePrefix, syntax.RemSmallSuffix, syntax.RemLargeSuffix}, op)
}

func comparesNumbers(op syntax.BinTestOperator) bool {
	return slices.Contains([]syntax.BinTestOperator{syntax.TsEql, syntax.TsNeq, syntax.TsLeq, syntax.TsGeq, syntax.TsLss, syntax.TsGtr}, op)
}

// expansion notes where the shell puts a value into the text of a program.
func (c *commandReader) expansion(p *syntax.ParamExp) {
	if p.Param == nil || p.Length {
		return
	}
	where := c.where()
	where.arithmetic = where.arithmetic || p.Excl // what a value names may have an index
	if c.ours(p.Param.Value, p.Pos()) {
		c.sink(p.Pos(), p.Param.Value, where)
	}
}

// arithmeticName notes a parameter whose value the shell evaluates as an expression, since its name stands in one.
func (c *commandReader) arithmeticName(l *syntax.Lit) {
	if _, isWord := c.parent().(*syntax.Word); !isWord || !c.ours(l.Value, l.Pos()) {
		return
	}
	if where := c.where(); where.arithmetic {
		c.sink(l.Pos(), l.Value, place{arithmetic: true})
	}
}

// sink notes that a value becomes program text, if it does.
func (c *commandReader) sink(at syntax.Pos, name string, where place) {
	own := strings.TrimPrefix(name, aliasPrefix)
	if where.arithmetic {
		c.sinks = append(c.sinks, sink{at.Line(), own, ""})
	}
	if where.role.kind != data {
		c.sinks = append(c.sinks, sink{at.Line(), own, where.role.program})
	}
}
