package plan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Limits of a build file. They are far beyond what people write.
const (
	maxFile  = 1 << 20 // bytes
	maxNodes = 50_000  // values, with each alias counted as what it stands for
	maxDepth = 50      // levels
)

// document reads a build file and collects what is wrong with it.
type document struct {
	file     string
	problems Problems
	nodes    int
	tooLarge bool // the limit of nodes was reached and reported
}

// report notes a problem at a node.
func (d *document) report(n *yaml.Node, path, format string, args ...any) {
	p := Problem{File: d.file, Path: path, Message: fmt.Sprintf(format, args...)}
	if n != nil {
		p.Line, p.Column = max(1, n.Line), max(1, n.Column)
	}
	d.problems = append(d.problems, p)
}

// parse returns the root of the file, nil when there is none.
func (d *document) parse(data []byte) *yaml.Node {
	if len(data) > maxFile {
		d.report(nil, "", "the file has %d bytes, at most %d are allowed", len(data), maxFile)
		return nil
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data))
	if err != nil {
		d.syntax(data, err)
		return nil
	}
	var root, more yaml.Node
	if err := loader.Load(&root); err != nil && !errors.Is(err, io.EOF) {
		d.syntax(data, err)
		return nil
	}
	if root.Kind != yaml.DocumentNode || len(root.Content) == 0 {
		d.report(nil, "", "the file is empty; the smallest one has the keys version and steps")
		return nil
	}
	if err := loader.Load(&more); err == nil {
		d.report(&more, "", "a second document begins here; a build file is one document")
	} else if !errors.Is(err, io.EOF) {
		d.syntax(data, err)
	}
	return root.Content[0]
}

// syntax reports what the parser did not understand, with the likely cause where it can be seen.
func (d *document) syntax(data []byte, err error) {
	p := Problem{File: d.file, Message: "is not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	if e, ok := errors.AsType[*yaml.LoadError](err); ok {
		p.Line, p.Column = e.Mark.Line, e.Mark.Column
		p.Message = "is not YAML: " + e.Message
		if e.ContextMsg != "" {
			p.Message += " " + e.ContextMsg
		}
	}
	p.Line, p.Column = max(1, p.Line), max(1, p.Column)
	if line, text := hint(data, p.Line); text != "" {
		p.Message += fmt.Sprintf("; line %d: %s", line, text)
	}
	d.problems = append(d.problems, p)
}

// hint names the usual mistakes, if one stands in the line at fault or just before it.
func hint(data []byte, near int) (line int, text string) {
	lines := bytes.Split(data, []byte("\n"))
	for _, i := range []int{near - 1, near - 2} {
		if i < 0 || i >= len(lines) {
			continue
		}
		text := string(lines[i])
		indent := text[:len(text)-len(strings.TrimLeft(text, " \t"))]
		key, value, colon := strings.Cut(strings.TrimSpace(text), ":")
		switch {
		case strings.Contains(indent, "\t"):
			return i + 1, "a tab may not indent, use spaces"
		case strings.Contains(text, "："):
			return i + 1, fullWidthColon
		case colon && value != "" && value[0] != ' ' && !strings.ContainsAny(key, `'"/ `):
			return i + 1, blankBehindColon
		case strings.Contains(text, `"`) && strings.Contains(text, `\`):
			return i + 1, "in double quotes a backslash begins an escape, use single quotes or a block"
		}
	}
	return 0, ""
}

const (
	fullWidthColon   = "the colon is a full-width one, use :"
	blankBehindColon = "write a blank behind the colon"
)

var gluedColon = regexp.MustCompile(`^[a-z_]+(：|:[^/])`)

// colonHint says why a text that was meant as a key with a value is none.
func colonHint(text string) string {
	switch found := gluedColon.FindStringSubmatch(text); {
	case found == nil:
		return ""
	case found[1] == "：":
		return "; " + fullWidthColon
	default:
		return "; " + blankBehindColon
	}
}

// entry is a key of a mapping with its value.
type entry struct {
	key   string
	at    *yaml.Node // the key
	value *yaml.Node
	path  string
}

// follow returns the node that an alias stands for, and counts it.
func (d *document) follow(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	if d.nodes++; d.nodes > maxNodes && !d.tooLarge {
		d.tooLarge = true
		d.report(n, "", "the file has more than %d values", maxNodes)
	}
	return n
}

// mapping returns the entries of a mapping. What is none, a key that stands twice, or is no text, is reported.
func (d *document) mapping(n *yaml.Node, path, what string) []entry {
	n = d.follow(n)
	if n.Kind != yaml.MappingNode {
		d.report(n, path, "must be %s, found %s", what, kindOf(n))
		return nil
	}
	if d.tooLarge || strings.Count(path, ".")+strings.Count(path, "[") > maxDepth {
		return nil
	}
	var entries []entry
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := d.follow(n.Content[i])
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			d.report(key, path, "a key must be a plain word, found %s", kindOf(key))
			continue
		}
		e := entry{key: key.Value, at: key, value: n.Content[i+1], path: join(path, key.Value)}
		if line, twice := seen[key.Value]; twice {
			d.report(key, e.path, "stands twice, first in line %d", line)
			continue
		}
		seen[key.Value] = key.Line
		entries = append(entries, e)
	}
	return entries
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// list returns the elements of a list; one that is null has none.
func (d *document) list(n *yaml.Node, path, what string) []*yaml.Node {
	n = d.follow(n)
	if isNull(n) || d.tooLarge {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		d.report(n, path, "must be a list of %s, found %s", what, kindOf(n))
		return nil
	}
	return n.Content
}

// scalar returns the text of a scalar as it stands in the file: 1.10 stays 1.10. Null is the empty text.
func (d *document) scalar(n *yaml.Node, path string) (string, bool) {
	n = d.follow(n)
	if isNull(n) {
		return "", true
	}
	if n.Kind != yaml.ScalarNode {
		d.report(n, path, "must be a text, found %s", kindOf(n))
		return "", false
	}
	return n.Value, true
}

// unknown reports a key that is not among the known ones.
func (d *document) unknown(e entry, known []string) {
	d.report(e.at, e.path, "is not known%s; known are: %s", suggestion(e.key, known), strings.Join(slices.Sorted(slices.Values(known)), ", "))
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// kindOf says in words what a node is.
func kindOf(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a map"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "nothing"
	default:
		return "the text " + shown(n.Value) + colonHint(n.Value)
	}
}
