package plan

import (
	"fmt"
	"strings"
)

// A condition compares parameters with texts:
//
//	condition = and { "||" and }
//	and       = unary { "&&" unary }
//	unary     = "!" unary | "(" condition ")" | operand [ ( "==" | "!=" ) operand ]
//	operand   = name | "${" name "}" | text in quotes | number | "true" | "false"
//
// Everything is compared as text, and a text in quotes may hold references to parameters. A name that is not known is the empty
// text; a lone operand holds when it is "true".

// evaluate returns whether a condition holds. An error says what is wrong and at which character.
func evaluate(condition string, value func(name string) (string, bool)) (bool, error) {
	p := conditionParser{text: condition, value: value}
	result := p.or()
	p.blanks()
	if p.err == nil && p.at < len(p.text) {
		p.fail("an operator, && or ||")
	}
	return result, p.err
}

// maxNesting bounds the depth of parentheses and negations.
const maxNesting = 50

type conditionParser struct {
	text  string
	at    int
	depth int
	value func(string) (string, bool)
	err   error // the first one; from then on nothing is read
}

func (p *conditionParser) fail(wanted string) {
	if p.err != nil {
		return
	}
	found := "its end"
	if p.at < len(p.text) {
		found = shown(p.text[p.at:])
	}
	p.err = fmt.Errorf("the condition is not valid at character %d: %s is expected, found %s", p.at+1, wanted, found)
	p.at = len(p.text)
}

func (p *conditionParser) blanks() {
	for p.at < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.at]) >= 0 {
		p.at++
	}
}

// take reads a token, if it comes next.
func (p *conditionParser) take(token string) bool {
	p.blanks()
	if !strings.HasPrefix(p.text[p.at:], token) {
		return false
	}
	p.at += len(token)
	return true
}

func (p *conditionParser) or() bool {
	result := p.and()
	for p.take("||") {
		other := p.and() // read in any case
		result = result || other
	}
	return result
}

func (p *conditionParser) and() bool {
	result := p.unary()
	for p.take("&&") {
		other := p.unary()
		result = result && other
	}
	return result
}

func (p *conditionParser) unary() bool {
	if p.depth++; p.depth > maxNesting {
		p.fail("a simpler condition")
		return false
	}
	defer func() { p.depth-- }()
	p.blanks()
	switch {
	case !strings.HasPrefix(p.text[p.at:], "!=") && p.take("!"):
		return !p.unary()
	case p.take("("):
		result := p.or()
		if !p.take(")") {
			p.fail(")")
		}
		return result
	}
	left := p.operand()
	switch {
	case p.take("=="):
		return left == p.operand()
	case p.take("!="):
		return left != p.operand()
	default:
		return left == "true"
	}
}

func (p *conditionParser) operand() string {
	p.blanks()
	rest := p.text[p.at:]
	switch {
	case rest == "":
	case rest[0] == '\'' || rest[0] == '"':
		if end := strings.IndexByte(rest[1:], rest[0]); end >= 0 {
			p.at += end + 2
			return replaceReferences(rest[1:end+1], p.value)
		}
		p.fail("a closing quote")
		return ""
	case strings.HasPrefix(rest, "${"):
		if end := strings.IndexByte(rest, '}'); end > 2 {
			p.at += end + 1
			value, _ := p.value(rest[2:end])
			return value
		}
	default:
		if n := wordLength(rest); n > 0 {
			p.at += n
			return p.wordValue(rest[:n])
		}
	}
	p.fail("a parameter, a text in quotes or a number")
	return ""
}

// wordLength returns how long the name or number is that a text begins with.
func wordLength(s string) int {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '_', c == '.', c == '-' && i == 0, c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z':
		default:
			return i
		}
	}
	return len(s)
}

func (p *conditionParser) wordValue(word string) string {
	if word == "true" || word == "false" || word[0] == '-' || word[0] >= '0' && word[0] <= '9' {
		return word
	}
	value, _ := p.value(word)
	return value
}
