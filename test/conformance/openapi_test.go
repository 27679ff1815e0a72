package conformance_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi/datamodel"
	"go.yaml.in/yaml/v4"

	"atelier/internal/server/servertest"
)

// examplesFile has the requests and answers that the document shows.
const examplesFile = "../../internal/httpapi/examples.json"

// openAPI is the document that a server gives to everybody, as somebody else's software understands it.
type openAPI struct{ validator.Validator }

func get(t *testing.T, s *servertest.Server, path string) []byte {
	t.Helper()
	answer := s.Send(s.Request(http.MethodGet, path, ""))
	if answer.Status != http.StatusOK {
		t.Fatalf("%s: %d", path, answer.Status)
	}
	return []byte(answer.Body)
}

func readOpenAPI(t *testing.T, s *servertest.Server) openAPI {
	t.Helper()
	// A group may hold groups: a list of them that is empty, or null, ends that.
	doc, err := libopenapi.NewDocumentWithConfiguration(get(t, s, "/openapi.json"), &datamodel.DocumentConfiguration{IgnoreArrayCircularReferences: true, IgnorePolymorphicCircularReferences: true})
	if err != nil {
		t.Fatal(err)
	}
	v, errs := validator.NewValidator(doc, config.WithoutSecurityValidation())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return openAPI{v}
}

// check checks a request and its answer against the document.
func (o openAPI) check(t *testing.T, r *http.Request, sent []byte, answer *http.Response, body []byte) {
	t.Helper()
	r.Body, answer.Body = io.NopCloser(bytes.NewReader(sent)), io.NopCloser(bytes.NewReader(body))
	_, errs := o.ValidateHttpRequestResponse(r, answer)
	for _, e := range errs {
		t.Errorf("the document does not allow this: %s: %s", e.Message, e.Reason)
		for _, s := range e.SchemaValidationErrors {
			t.Errorf("  %s: %s", s.KeywordLocation, s.Reason)
		}
	}
}

// TestOpenAPIDocument checks that the document is one, in both forms, and that it has every operation.
func TestOpenAPIDocument(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	o := readOpenAPI(t, s)
	if ok, errs := o.ValidateDocument(); !ok {
		for _, e := range errs {
			t.Errorf("%s: %s", e.Message, e.Reason)
			for _, s := range e.SchemaValidationErrors {
				t.Errorf("  %s: %s", s.KeywordLocation, s.Reason)
			}
		}
	}
	var fromJSON, fromYAML any
	if err := json.Unmarshal(get(t, s, "/openapi.json"), &fromJSON); err != nil {
		t.Fatal(err)
	}
	text := get(t, s, "/openapi.yaml")
	if err := yaml.Unmarshal(text, &fromYAML); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(fromYAML)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(again, &fromYAML); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fromJSON, fromYAML); diff != "" {
		t.Errorf("the two forms differ:\n%s", diff)
	}
	if !strings.HasPrefix(string(text), "openapi: 3.1.0\n") {
		t.Errorf("the YAML begins with %.200s", text)
	}
	seen := map[string]string{}
	for path, methods := range fromJSON.(map[string]any)["paths"].(map[string]any) {
		for method, operation := range methods.(map[string]any) {
			seen[operation.(map[string]any)["operationId"].(string)] = strings.ToUpper(method) + " " + path
		}
	}
	for _, line := range lines(t, operationsFile) {
		words := strings.Fields(line)
		want := words[1] + " " + strings.Replace(words[2], "*", "{file}", 1)
		if seen[words[0]] != want {
			t.Errorf("%s is %q in the document, want %q", words[0], seen[words[0]], want)
		}
		delete(seen, words[0])
	}
	for id := range seen {
		t.Errorf("the document has %s, and the service has not", id)
	}
}

// example is what the document shows of an operation.
type example struct {
	Request json.RawMessage `json:"request,omitempty"`
	Answer  json.RawMessage `json:"answer,omitempty"`
}

// machine are parts of examples that are only true of the machine that they were recorded on.
var machine = regexp.MustCompile(`file://[^"?]*/([a-z]+)|http://127\.0\.0\.1:\d+`)

// tidy returns JSON without what is only true of one machine; nil of what is no JSON.
func tidy(text []byte) json.RawMessage {
	if !json.Valid(text) {
		return nil
	}
	return machine.ReplaceAllFunc(text, func(found []byte) []byte {
		if name := machine.FindSubmatch(found)[1]; len(name) > 0 {
			return []byte("https://git.example.org/team/" + string(name) + ".git")
		}
		return []byte("https://atelier.example.org")
	})
}

// checkExamples checks that every operation has an example, or makes them anew.
func checkExamples(t *testing.T, recorded map[string]example) {
	t.Helper()
	if *update {
		text, err := json.MarshalIndent(recorded, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(examplesFile, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(examplesFile)
	if err != nil {
		t.Fatal(err)
	}
	var kept map[string]example
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	for _, m := range methods() {
		if want, got := recorded[m.Name], kept[m.Name]; (want.Answer == nil) != (got.Answer == nil) || (want.Request == nil) != (got.Request == nil) {
			t.Errorf("the examples of %s are not those of a run; make them anew with -update", m.Name)
		}
	}
	if i := slices.IndexFunc([]string{"127.0.0.1", "file://", "/tmp/"}, func(s string) bool { return bytes.Contains(text, []byte(s)) }); i >= 0 {
		t.Error("the examples tell of the machine that they were recorded on")
	}
}
