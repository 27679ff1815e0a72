package sdk_test

import (
	"cmp"
	"fmt"
	"go/scanner"
	"go/token"
	"regexp"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
)

var (
	// The page has each sample on a line of its own.
	goSample = regexp.MustCompile(`(?m)^package main import .*\}`)
	// Without the ends of lines, nothing else tells where a comment ends.
	sampleComment = regexp.MustCompile(`// The AK and SK .* in the local environment `)
)

// sampleOf returns the Go sample of a reference page as a program about one build. Changed is only what the page lacks: the ends of
// lines, the import of os, and values for the placeholders.
func sampleOf(page, region, job, number string) (string, error) {
	flat := goSample.FindString(page)
	if flat == "" {
		return "", fmt.Errorf("the page has no Go sample")
	}
	text := sampleComment.ReplaceAllString(flat, "")
	for _, change := range [][2]string{
		{`import ( "fmt" `, `import ( "fmt" "os" `}, {"<YOUR REGION>", region}, {"{job_id}", job}, {"{build_no}", number},
	} {
		if strings.Count(text, change[0]) != 1 {
			return "", fmt.Errorf("the page's Go sample has no %s, or several", change[0])
		}
		text = strings.Replace(text, change[0], change[1], 1)
	}
	return splitLines(text)
}

// splitLines puts a line end between two statements, declarations or imports of a Go program that stands on one line: between two
// words that cannot follow each other within one.
func splitLines(flat string) (string, error) {
	var (
		b      strings.Builder
		errs   scanner.ErrorList
		s      scanner.Scanner
		src    = []byte(flat)
		files  = token.NewFileSet()
		end    int
		before token.Token
	)
	s.Init(files.AddFile("", -1, len(src)), src, errs.Add, 0)
	for {
		pos, tok, literal := s.Scan()
		if tok == token.EOF || tok == token.SEMICOLON && literal == "\n" {
			return b.String(), errs.Err()
		}
		at := files.Position(pos).Offset
		b.WriteString(flat[end:at])
		if endsStatement(before) && beginsStatement(before, tok) {
			b.WriteByte('\n')
		}
		end = at + len(cmp.Or(literal, tok.String()))
		b.WriteString(flat[at:end])
		before = tok
	}
}

func endsStatement(t token.Token) bool {
	switch t {
	case token.IDENT, token.STRING, token.INT, token.RPAREN, token.RBRACE, token.RBRACK:
		return true
	default:
		return false
	}
}

func beginsStatement(before, t token.Token) bool {
	switch t {
	case token.IDENT, token.IMPORT, token.FUNC, token.IF, token.RETURN:
		return true
	case token.STRING:
		return before != token.IDENT // the name of an import stands before its path
	default:
		return false
	}
}

// TestSampleOf checks how a sample is taken from a page, on one of our own.
func TestSampleOf(t *testing.T) {
	t.Parallel()
	const page = `SDK Sample Code
1 2 3 |
package com.example; import com.example.*; public class X { }  |
1 2 3 |
package main import ( "fmt" m "example.org/m" "example.org/n" ) func main() { // The AK and SK are secret. // Set them in the local environment ak := os.Getenv("AK") client := m.New( n.Builder(). WithRegion(n.ValueOf("<YOUR REGION>")). Build()) request := &m.Request{} request.Job = "{job_id}" request.Number = int32({build_no}) answer, err := client.Show(request) if err == nil { fmt.Printf("%+v\n", answer) } else { fmt.Println(err) } } |
See elsewhere {too}.
`
	const want = `package main
 import ( "fmt"
 "os"
 m "example.org/m"
 "example.org/n" )
 func main() { ak := os.Getenv("AK")
 client := m.New( n.Builder(). WithRegion(n.ValueOf("here")). Build())
 request := &m.Request{}
 request.Job = "j"
 request.Number = int32(7)
 answer, err := client.Show(request)
 if err == nil { fmt.Printf("%+v\n", answer) } else { fmt.Println(err) } }`
	got, err := sampleOf(page, "here", "j", "7")
	if err != nil {
		t.Fatal(err)
	}
	// Blanks stay where they are, so that no more is changed than has to be.
	if diff := gocmp.Diff(want, strings.ReplaceAll(got, " \n", "\n ")); diff != "" {
		t.Error(diff)
	}
	for _, broken := range []string{"", strings.ReplaceAll(page, "{build_no}", "7"), strings.ReplaceAll(page, "{job_id}", "{job_id}{job_id}")} {
		if _, err := sampleOf(broken, "here", "j", "7"); err == nil {
			t.Errorf("no error for a page that is not as expected: %q", broken)
		}
	}
}
