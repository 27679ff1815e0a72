package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A value is never program text. It may come from somebody who may only run the task, from the name of a branch or from a commit, so it does not
// become part of a script: the shell has every parameter in its environment and expands the references itself. Only where the shell would not,
// within single quotes and in here-documents with a quoted delimiter, the script is rewritten, so that the shell does it there as well:
//
//	'a${X}b'         'a'"${X}"'b'
//	cat <<'END'      cat <<END
//	cost: $5 ${X}    cost: \$5 ${X}
//
// No line is added or removed, so that the shell counts lines as the user does. Whatever the parser takes for what, no value is in its input
// or its output: where it errs, a reference is not replaced.

// The variables under which the shell finds parameters that it cannot have under their own names, and those that it must pass on as
// program text, as one quoted word.
const (
	aliasPrefix  = "ATELIER_PARAMETER_"
	quotedPrefix = "ATELIER_QUOTED_"
)

// shellVariables are variables to which the shells give values of their own, whatever the environment says.
var shellVariables = []string{
	"BASH", "BASHOPTS", "BASHPID", "BASH_ALIASES", "BASH_ARGC", "BASH_ARGV", "BASH_ARGV0", "BASH_CMDS", "BASH_COMMAND", "BASH_EXECUTION_STRING",
	"BASH_LINENO", "BASH_SOURCE", "BASH_SUBSHELL", "BASH_VERSINFO", "BASH_VERSION", "COMP_WORDBREAKS", "DIRSTACK", "EPOCHREALTIME", "EPOCHSECONDS",
	"EUID", "FUNCNAME", "GROUPS", "HISTCMD", "IFS", "LINENO", "OLDPWD", "OPTERR", "OPTIND", "PIPESTATUS", "PPID", "PS1", "PS2", "PS4", "PWD",
	"RANDOM", "SECONDS", "SHELLOPTS", "SHLVL", "SRANDOM", "UID", "_",
}

// rewritten is what became of a script.
type rewritten struct {
	script  string
	aliases []string // parameters that it needs under an alias
	quoted  []string // parameters that it needs as a quoted word
	advice  []advice // for who writes the script
	sinks   []sink   // where values become program text after all
}

type advice struct {
	line uint
	text string
}

// sink is a place where the value of a parameter becomes the text of a program, by what the script does with it.
type sink struct {
	line    uint
	name    string // of the parameter
	program string // such as python3; empty for the shell's arithmetic
}

// rewriteCommand rewrites a script so that its references to parameters come out wherever they stand. A script that cannot be parsed is left alone.
func rewriteCommand(script string, known func(name string) bool) rewritten {
	if !slices.ContainsFunc(reference.FindAllStringSubmatch(script, -1), func(m []string) bool { return known(m[1]) }) && !mentions(script, known) {
		return rewritten{script: script}
	}
	c := &commandReader{known: known, alias: make(map[string]string), text: script}
	c.rename(func(name string) bool { return name[0] >= '0' && name[0] <= '9' })
	file, err := parseShell(c.text)
	if err == nil {
		c.findAssigned(file)
		before := c.text
		c.rename(func(name string) bool { return slices.Contains(shellVariables, name) && len(c.assigned[name]) == 0 })
		if c.text != before {
			file, err = parseShell(c.text)
			c.advice = nil
			c.findAssigned(file)
		}
	}
	if err != nil {
		return rewritten{script: script, advice: c.unparsed(script, err)}
	}
	c.walk(file, c.visit)
	out := c.apply()
	if out != c.text {
		if _, err := parseShell(out); err != nil { // the parser and the shell agree on what has been written, or it is not used
			return rewritten{script: script, advice: c.unparsed(script, err)}
		}
	}
	return rewritten{script: out, aliases: c.aliases(), quoted: c.quoted, advice: c.advice, sinks: c.sinks}
}

// mentions reports whether a script has the name of a parameter anywhere.
func mentions(script string, known func(string) bool) bool {
	return slices.ContainsFunc(strings.FieldsFunc(script, func(r rune) bool { return !isNameRune(r) }), known)
}

func isNameRune(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
}

// commandReader reads one script.
type commandReader struct {
	text     string
	known    func(name string) bool
	alias    map[string]string // what a parameter is called in the script instead
	assigned map[string][]span
	stack    []syntax.Node // from the script down to the node that is visited
	roles    map[syntax.Node]role
	edits    []edit
	quoted   []string
	advice   []advice
	sinks    []sink
}

// span is a part of the script.
type span struct{ from, to uint }

// edit is new text in the place of a part of the script.
type edit struct {
	span
	text string
}

// rename gives parameters an alias wherever the script refers to them. The names are nothing that a shell would read in another way.
func (c *commandReader) rename(which func(name string) bool) {
	var b strings.Builder
	end := 0
	for _, m := range references(c.text) {
		name := c.text[m[2]:m[3]]
		if !c.known(name) || !which(name) || backslashes(c.text[:m[0]])%2 == 1 {
			continue
		}
		c.alias[name] = aliasPrefix + name
		b.WriteString(c.text[end:m[2]] + c.alias[name])
		end = m[3]
	}
	c.text = b.String() + c.text[end:]
}

func (c *commandReader) aliases() (names []string) {
	for name := range c.alias {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// variable returns the variable by which the script gets a parameter; false for what is none.
func (c *commandReader) variable(name string) (string, bool) {
	if own, isAlias := strings.CutPrefix(name, aliasPrefix); isAlias && c.alias[own] != "" {
		return name, true
	}
	if alias := c.alias[name]; alias != "" {
		return alias, true
	}
	return name, c.known(name)
}

// references returns where a text has references, as [regexp.Regexp.FindAllStringSubmatchIndex] does. One behind another dollar is the shell's.
func references(text string) [][]int {
	return slices.DeleteFunc(reference.FindAllStringSubmatchIndex(text, -1), func(m []int) bool { return m[0] > 0 && text[m[0]-1] == '$' })
}

// backslashes returns how many stand at the end of a text.
func backslashes(text string) int { return len(text) - len(strings.TrimRight(text, `\`)) }

// walk visits the nodes of a script in their order.
func (c *commandReader) walk(file *syntax.File, visit func(syntax.Node)) {
	c.stack = nil
	syntax.Walk(file, func(node syntax.Node) bool {
		if node == nil {
			c.stack = c.stack[:len(c.stack)-1]
			return true
		}
		c.stack = append(c.stack, node)
		visit(node)
		return true
	})
}

func (c *commandReader) visit(node syntax.Node) {
	switch n := node.(type) {
	case *syntax.CallExpr:
		c.readCall(n)
	case *syntax.Stmt:
		c.readInput(n)
	case *syntax.SglQuoted:
		c.singleQuoted(n)
	case *syntax.Redirect:
		c.hereDocument(n)
	case *syntax.ParamExp:
		c.expansion(n)
	case *syntax.Lit:
		c.arithmeticName(n)
	}
}

// ours reports whether a name is that of a parameter which the script has not taken for itself.
func (c *commandReader) ours(name string, at syntax.Pos) bool {
	_, known := c.variable(name)
	return known && !slices.ContainsFunc(c.assigned[name], func(s span) bool { return s.from <= at.Offset() && at.Offset() < s.to })
}

// singleQuoted makes references come out within single quotes.
func (c *commandReader) singleQuoted(q *syntax.SglQuoted) {
	where := c.where()
	from, to := q.Left.Offset()+1, q.Right.Offset()
	open := "'"
	if q.Dollar {
		from, open = from+1, "$'"
	}
	text := c.text[from:to]
	var b strings.Builder
	end := 0
	for _, m := range references(text) {
		name := text[m[2]:m[3]]
		if !c.ours(name, q.Left) {
			continue
		}
		escaped := backslashes(text[:m[0]])%2 == 1
		control := q.Dollar && strings.HasSuffix(text[:m[0]], `\c`)
		switch {
		case where.role.kind == innerShell && !where.nested, where.role.kind == remoteShell && !where.nested:
			continue // that shell expands it
		case where.left, where.backquotes > 1, where.backquotes == 1 && (escaped || q.Dollar), control:
			c.advise(q.Left, "${%s} stays as it is within these single quotes", name)
			continue
		}
		c.sink(q.Left, name, where)
		b.WriteString(text[end:m[0]])
		if q.Dollar && escaped {
			b.WriteByte('\\') // which would take the quote's meaning
		}
		variable, _ := c.variable(name)
		b.WriteString(`'"${` + variable + `}"` + open)
		end = m[1]
	}
	if end > 0 {
		c.edits = append(c.edits, edit{span{from, to}, b.String() + text[end:]})
	}
}

// hereDocument makes references come out in a here-document with a quoted delimiter, whose text the shell takes as it is: the delimiter loses its
// quotes, and what has a meaning then gets a backslash.
func (c *commandReader) hereDocument(r *syntax.Redirect) {
	if (r.Op != syntax.Hdoc && r.Op != syntax.DashHdoc) || r.Hdoc == nil {
		return
	}
	delimiter, ok := literal(r.Word)
	word := span{r.Word.Pos().Offset(), r.Word.End().Offset()}
	if !ok || c.text[word.from:word.to] == delimiter {
		return // the shell expands it
	}
	whole := span{r.Hdoc.Pos().Offset(), r.Hdoc.End().Offset()}
	text := c.text[whole.from:whole.to]
	last := text[strings.LastIndexByte(text, '\n')+1:]
	body := text[:len(text)-len(last)]
	role := c.roles[r]
	names := c.oursIn(body, r.Word.Pos())
	if len(names) == 0 || role.kind == innerShell {
		return
	}
	if r.Op == syntax.DashHdoc {
		last = strings.TrimLeft(last, "\t")
	}
	if c.where().backquotes > 0 || last != delimiter {
		for _, name := range names {
			c.advise(r.Hdoc.Pos(), "${%s} stays as it is in this here-document", name)
		}
		return
	}
	prefix := ""
	if role.kind == remoteShell {
		prefix = c.prefix(names)
	}
	for _, name := range names {
		if role.kind == otherProgram {
			c.sinks = append(c.sinks, sink{r.Hdoc.Pos().Line(), name, role.program})
		}
	}
	mark := c.delimiter(delimiter)
	c.edits = append(c.edits,
		edit{word, mark},
		edit{whole, prefix + c.escaped(body, func(name string) bool { return prefix == "" && slices.Contains(names, name) }) + mark})
}

// delimiter returns a word without quotes that ends a here-document.
func (c *commandReader) delimiter(wanted string) string {
	if wanted != "" && strings.IndexFunc(wanted, func(r rune) bool { return !isNameRune(r) }) < 0 {
		return wanted
	}
	for mark := "END_"; ; mark += "_" {
		if !strings.Contains(c.text, mark) {
			return mark
		}
	}
}

// escaped returns a text as it comes out of a here-document whose delimiter has no quotes, with references to the given parameters.
func (c *commandReader) escaped(text string, expand func(name string) bool) string {
	escape := strings.NewReplacer(`\`, `\\`, `$`, `\$`, "`", "\\`").Replace
	var b strings.Builder
	end := 0
	for _, m := range references(text) {
		if name := text[m[2]:m[3]]; expand(name) {
			variable, _ := c.variable(name)
			b.WriteString(escape(text[end:m[0]]) + "${" + variable + "}")
			end = m[1]
		}
	}
	return b.String() + escape(text[end:])
}

// oursIn returns the parameters that a text refers to.
func (c *commandReader) oursIn(text string, at syntax.Pos) (names []string) {
	for _, m := range references(text) {
		if name := text[m[2]:m[3]]; c.ours(name, at) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// prefix returns assignments that give another shell, which does not have this one's environment, the values of parameters.
func (c *commandReader) prefix(names []string) string {
	var b strings.Builder
	for _, name := range names {
		variable, _ := c.variable(name)
		own := strings.TrimPrefix(variable, aliasPrefix)
		b.WriteString(variable + "=${" + quotedPrefix + own + "}; ")
		if !slices.Contains(c.quoted, own) {
			c.quoted = append(c.quoted, own)
		}
	}
	return b.String()
}

// apply returns the script with all edits.
func (c *commandReader) apply() string {
	slices.SortStableFunc(c.edits, func(a, b edit) int { return int(a.from) - int(b.from) })
	var b strings.Builder
	end := uint(0)
	for _, e := range c.edits {
		if e.from < end {
			continue // within a text that is left to another shell, or in one that is rewritten as a whole
		}
		b.WriteString(c.text[end:e.from] + e.text)
		end = e.to
	}
	return b.String() + c.text[end:]
}

func (c *commandReader) advise(at syntax.Pos, format string, args ...any) {
	c.advice = append(c.advice, advice{at.Line(), fmt.Sprintf(format, args...)})
}

// unparsed says what is not replaced in a script that is no shell script: the references between single quotes, as far as those can be told.
func (c *commandReader) unparsed(script string, err error) []advice {
	all := []advice{{0, "is not understood as a shell script (" + syntaxProblem(err) + "), so references within single quotes are not replaced"}}
	for i, line := range strings.Split(script, "\n") {
		for j, part := range strings.Split(line, "'") {
			for _, m := range references(part) {
				if name := part[m[2]:m[3]]; j%2 == 1 && c.known(name) {
					all = append(all, advice{uint(i + 1), "${" + name + "} stays as it is"})
				}
			}
		}
	}
	return all
}

// commandText is what a step's commands come to.
type commandText struct {
	script   string
	problems []string
	advice   []string
}

var (
	plainNumber = regexp.MustCompile(`^ *[-+]?(0[xX][0-9A-Fa-f]+|[0-9]*) *$`)
	plainText   = regexp.MustCompile(`^[\p{L}\p{N} _.,:/@%+=-]*$`)
)

// command makes the commands of a step what the shell is to run. What somebody chose who may only run the task is not let into a program.
func (s *scope) command(script string) (out commandText) {
	c := rewriteCommand(script, func(name string) bool { _, known := s.values[name]; return known })
	out.script = c.script
	s.aliases, s.quoted = withNew(s.aliases, c.aliases), withNew(s.quoted, c.quoted)
	for _, a := range c.advice {
		out.advice = withNew(out.advice, []string{a.String()})
	}
	for _, k := range c.sinks {
		out.advice = withNew(out.advice, []string{k.advice().String()})
		if !s.untrusted[k.name] {
			continue
		}
		if why := k.problem(s.values[k.name]); why != "" {
			out.problems = withNew(out.problems, []string{why})
		}
	}
	return out
}

// withNew returns a list with what is not in it yet.
func withNew(list, more []string) []string {
	for _, text := range more {
		if !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

// String returns the advice with its place in the script.
func (a advice) String() string {
	if a.line == 0 {
		return a.text
	}
	return fmt.Sprintf("line %d of the script: %s", a.line, a.text)
}

func (k sink) advice() advice {
	if k.program == "" {
		return advice{k.line, "the shell evaluates the value of " + k.name + " as arithmetic, in which it can run commands; a value that is chosen at the start must be a number there"}
	}
	return advice{k.line, "the value of " + k.name + " becomes program text of " + k.program + "; pass it as an argument, or have the program read its environment"}
}

// problem says why a value that was chosen at the start cannot stand where it is; it does not show the value.
func (k sink) problem(value string) string {
	const where = "line %d of the script: the value of %s, which does not come from who may edit the task, "
	switch {
	case k.program == "" && !plainNumber.MatchString(value):
		return fmt.Sprintf(where+"stands in arithmetic, in which the shell would run what it says; it must be a whole number", k.line, k.name)
	case k.program != "" && !plainText.MatchString(value):
		return fmt.Sprintf(where+"becomes program text of %s; it may have letters, digits, blanks and _ . , : / @ %% + = - there", k.line, k.name, k.program)
	default:
		return ""
	}
}

// Quoted returns a text as every shell takes it for one word. Bytes stay as they are, also those for which POSIX has no escape.
func Quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
