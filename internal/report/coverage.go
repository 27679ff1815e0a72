package report

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"strconv"
	"strings"
)

// Counter is how many things there are, and how many of them tests have reached.
type Counter struct{ Covered, Total int64 }

// Ratio is the share that tests have reached, from 0 to 1; of nothing, 0.
func (c Counter) Ratio() float64 {
	if c.Total == 0 {
		return 0
	}
	return float64(c.Covered) / float64(c.Total)
}

// Counts beyond these are nobody's code. With them, no sum overflows, and clients that know only floating point read each exactly.
const (
	maxCount = 1<<31 - 1
	maxSum   = 1<<53 - 1
)

func (c *Counter) add(other Counter) {
	c.Covered = min(c.Covered+other.Covered, maxSum)
	c.Total = min(c.Total+other.Total, maxSum)
}

// Coverage is how much of the code tests have reached. What a tool does not count has a total of 0.
type Coverage struct {
	Lines      Counter // JaCoCo, Cobertura
	Branches   Counter // JaCoCo, Cobertura
	Statements Counter // Go; the instructions of JaCoCo
}

// Add counts another report's figures with these.
func (c *Coverage) Add(other Coverage) {
	c.Lines.add(other.Lines)
	c.Branches.add(other.Branches)
	c.Statements.add(other.Statements)
}

// ErrNoCoverage is the error of a file that is no coverage report at all, such as a page of one for people.
var ErrNoCoverage = errors.New("is no coverage report of JaCoCo, Cobertura or Go")

// ReadCoverage reads the figures of a coverage report. Which kind it is shows in how it begins.
func ReadCoverage(r io.Reader) (Coverage, error) {
	b := bufio.NewReader(r)
	head, _ := b.Peek(64) // what cannot be read comes again below
	switch text := strings.TrimLeft(strings.TrimPrefix(string(head), "\ufeff"), " \t\r\n"); {
	case strings.HasPrefix(string(head), "mode: "):
		return readGoProfile(b)
	case !strings.HasPrefix(text, "<"):
		return Coverage{}, ErrNoCoverage
	}
	e := newElements(b)
	root, err := e.root()
	switch {
	case err != nil:
		return Coverage{}, ErrNoCoverage // pages for people need not be XML
	case root.Name.Local == "report":
		return readJaCoCo(e)
	case root.Name.Local == "coverage":
		return readCobertura(e, root)
	default:
		return Coverage{}, ErrNoCoverage
	}
}

// readJaCoCo reads the sums below the root. The same ones stand below each part of it.
func readJaCoCo(e *elements) (Coverage, error) {
	var c Coverage
	sums := map[string]*Counter{"LINE": &c.Lines, "BRANCH": &c.Branches, "INSTRUCTION": &c.Statements}
	found := false
	err := e.each(func(start xml.StartElement) error {
		if start.Name.Local != "counter" || len(e.names) != 2 {
			return nil
		}
		found = true
		covered, missed, err := pair(attribute(start, "covered"), attribute(start, "missed"))
		if sum := sums[attribute(start, "type")]; err == nil && sum != nil {
			sum.add(Counter{covered, covered + missed})
		}
		return err
	})
	if err == nil && !found {
		err = errors.New("has no counters")
	}
	return c, err
}

// readCobertura reads the sums that the root states, and counts the lines of the classes where an older tool states none.
func readCobertura(e *elements, root xml.StartElement) (Coverage, error) {
	var stated, counted Coverage
	if attribute(root, "line-rate") == "" {
		return Coverage{}, ErrNoCoverage // Clover's files begin alike
	}
	for prefix, sum := range map[string]*Counter{"lines": &stated.Lines, "branches": &stated.Branches} {
		covered, valid, err := pair(attribute(root, prefix+"-covered"), attribute(root, prefix+"-valid"))
		if err != nil {
			return Coverage{}, err
		}
		if covered > valid {
			return Coverage{}, fmt.Errorf("has more %s that are covered than there are", prefix)
		}
		*sum = Counter{covered, valid}
	}
	err := e.each(func(start xml.StartElement) error {
		if start.Name.Local != "line" || e.parent(2) != "class" { // methods list their lines again
			return nil
		}
		hits, _, err := pair(attribute(start, "hits"), "")
		counted.Lines.add(Counter{min(hits, 1), 1})
		// "50% (1/2)"
		if _, fraction, ok := strings.Cut(strings.TrimSuffix(attribute(start, "condition-coverage"), ")"), "("); ok && err == nil {
			of, all, _ := strings.Cut(fraction, "/")
			var covered, total int64
			if covered, total, err = pair(of, all); err == nil {
				counted.Branches.add(Counter{min(covered, total), total})
			}
		}
		return err
	})
	if attribute(root, "lines-valid") != "" {
		return stated, err
	}
	return counted, err
}

// maxBlocks is how many blocks of code a Go profile may name: those of some ten million lines.
const maxBlocks = 1_000_000

// readGoProfile reads what go test -coverprofile writes. A block that several packages' tests have run stands there several times.
func readGoProfile(r *bufio.Reader) (Coverage, error) {
	var c Coverage
	reached := make(map[uint64]bool) // by the hash of block and size, since the whole texts can be as large as the file
	seed := maphash.MakeSeed()
	lines := bufio.NewScanner(&sized{r: r})
	lines.Buffer(nil, 64<<10)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "mode: ") { // the latter again where profiles were put together
			continue
		}
		end := max(0, strings.LastIndexByte(line, ' '))
		block, statements, ok := strings.Cut(line[:end], " ")
		size, hits, err := pair(statements, strings.TrimSpace(line[end:]))
		if !ok || err != nil || !strings.Contains(block, ":") {
			return Coverage{}, fmt.Errorf("line %d is not of the form file:from,to statements count", n)
		}
		key := maphash.String(seed, line[:end])
		before, known := reached[key]
		if !known {
			c.Statements.add(Counter{Total: size})
		}
		if !before && hits > 0 {
			c.Statements.add(Counter{Covered: size})
		}
		if reached[key] = before || hits > 0; len(reached) > maxBlocks {
			return Coverage{}, fmt.Errorf("has more than %d blocks", maxBlocks)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return Coverage{}, errors.New("has a line of more than 64 KiB")
	}
	return c, lines.Err()
}

// pair reads two counts; what is not given counts nothing.
func pair(a, b string) (int64, int64, error) {
	x, err := number(a)
	if err != nil {
		return 0, 0, err
	}
	y, err := number(b)
	return x, y, err
}

func number(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("has %.40q where a count stands", text)
	}
	return int64(min(n, maxCount)), nil
}
