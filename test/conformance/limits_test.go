package conformance_test

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"atelier/internal/server/servertest"
)

// parameters has a line for each parameter, and each mandatory field of a body, in the published definitions of the operations: operation, place, name,
// mandatory or optional, type, and the limits, as far as there are any.
//
//go:embed testdata/parameters.txt
var parameters string

// parameter is one line.
type parameter struct {
	operation, place, name string
	mandatory              bool
	kind, limits           string
}

func documented(t *testing.T) map[string][]parameter {
	t.Helper()
	all := map[string][]parameter{}
	for line := range strings.Lines(parameters) {
		words := strings.SplitN(strings.TrimSpace(line), " ", 6)
		if len(words) < 5 {
			t.Fatalf("%q", line)
		}
		p := parameter{operation: words[0], place: words[1], name: words[2], mandatory: words[3] == "mandatory", kind: words[4]}
		if len(words) == 6 {
			p.limits = words[5]
		}
		all[p.operation] = append(all[p.operation], p)
	}
	return all
}

// values returns values that the definition allows, at its limits, and such that it does not.
func (p parameter) values() (good, bad []string) {
	limits, long := strings.CutPrefix(p.limits, "length ")
	low, high, isRange := strings.Cut(limits, "..")
	least, err := strconv.Atoi(low)
	isRange = isRange && err == nil
	most, err := strconv.Atoi(high)
	unlimited := err != nil
	switch {
	case p.kind == "integer" && isRange:
		good = append(good, strconv.Itoa(least))
		bad = append(bad, "many", "1.5", strconv.Itoa(least-1), "99999999999999999999")
		if !unlimited {
			good, bad = append(good, strconv.Itoa(most)), append(bad, strconv.Itoa(most+1))
		}
	case p.kind == "integer":
		bad = append(bad, "many", "1.5")
	case p.kind == "boolean":
		good, bad = append(good, "true", "false"), append(bad, "perhaps")
	case long && isRange:
		good, bad = append(good, strings.Repeat("a", most)), append(bad, strings.Repeat("a", most+1))
	case strings.Contains(p.limits, "{32}"):
		good, bad = append(good, strings.Repeat("0", 32)), append(bad, strings.Repeat("0", 33), strings.Repeat("A", 32), strings.Repeat("0", 31)+"%00")
	case strings.Contains(p.limits, "{36}"):
		good, bad = append(good, "00000000-0000-4000-8000-000000000000"), append(bad, "00000000-0000-4000-8000-00000000000", strings.Repeat("_", 36))
	case strings.Contains(p.limits, "[0-9]{4}-[0-9]{2}-[0-9]{2}"):
		bad = append(bad, "2024-13-01", "2024-13-01 00:00:00", "yesterday")
	case strings.HasPrefix(p.limits, "one of "):
		good, bad = strings.Split(strings.TrimPrefix(p.limits, "one of "), "|"), append(bad, "nothing-of-these")
	}
	return good, bad
}

// raw is a request as the SDK sends it.
type raw struct {
	operation, method, template string
	path, body                  string
	query                       url.Values
}

// with returns the request with another value of a parameter.
func (r raw) with(t *testing.T, p parameter, value string) raw {
	t.Helper()
	if p.place == "body" {
		if (p.kind != "integer" && p.kind != "boolean") || !json.Valid([]byte(value)) {
			value = strconv.Quote(value)
		}
		return r.set(t, p, json.RawMessage(value))
	}
	if p.place == "path" {
		parts := strings.Split(r.path, "/")
		for i, part := range strings.Split(r.template, "/") {
			if part == "{"+p.name+"}" {
				parts[i] = value
			}
		}
		r.path = strings.Join(parts, "/")
		if strings.Contains(r.body, strconv.Quote(p.name)+":") { // which says it again
			r = r.set(t, p, json.RawMessage(strconv.Quote(value)))
		}
		return r
	}
	q := url.Values{}
	for k, v := range r.query {
		q[k] = v
	}
	q.Set(p.name, value)
	r.query = q
	return r
}

// set returns the request with another value of a field of the body.
func (r raw) set(t *testing.T, p parameter, value json.RawMessage) raw {
	t.Helper()
	r.body, _ = edit(t, r.body, p, func(object map[string]any, key string) { object[key] = value })
	return r
}

// without returns the request without a parameter, and whether it had it.
func (r raw) without(t *testing.T, p parameter) (raw, bool) {
	t.Helper()
	if p.place == "query" {
		had := r.query.Has(p.name)
		r = r.with(t, p, "")
		r.query.Del(p.name)
		return r, had
	}
	var had bool
	r.body, had = edit(t, r.body, p, func(object map[string]any, key string) { delete(object, key) })
	return r, had
}

// edit changes a field of a body, and reports whether it was there.
func edit(t *testing.T, text string, p parameter, change func(object map[string]any, key string)) (string, bool) {
	t.Helper()
	var body any
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	had := reach(body, strings.Split(p.name, "."), change)
	changed, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(changed), had
}

// reach changes a field of a value, and reports whether it was there. Of lists it takes the first element.
func reach(value any, path []string, change func(object map[string]any, key string)) bool {
	key, list := strings.CutSuffix(path[0], "[]")
	object, ok := value.(map[string]any)
	if !ok {
		return false
	}
	inner, ok := object[key]
	switch {
	case !ok:
		return false
	case len(path) == 1:
		change(object, key)
		return true
	case list:
		items, _ := inner.([]any)
		return len(items) > 0 && reach(items[0], path[1:], change)
	}
	return reach(inner, path[1:], change)
}

func (w *world) send(r raw) (status int, body string) {
	path := r.path
	if len(r.query) > 0 {
		path += "?" + r.query.Encode()
	}
	answer := w.s.Call(w.s.Admin, r.method, path, r.body)
	return answer.Status, answer.Body
}

// What the definitions call mandatory, and this service does without.
const (
	hasDefault = "the definitions call it mandatory and give it a default, which is used"
	inPath     = "the path has it already"
	notNeeded  = "the user's id, which is mandatory too, says it"
	zeroIsNone = "0 stands for the default, as with the other page sizes"
)

// lenient are those parameters with which the service is less strict than the definitions, and why.
var lenient = map[string]string{
	"AddKeystorePermission user_name missing":   notNeeded,
	"DownloadBuildRealTimeLog size missing":     hasDefault,
	"DownloadRealTimeLog offset missing":        hasDefault,
	"ListKeystoreSearch page_size 0":            zeroIsNone,
	"ListProjectJobs page_index missing":        hasDefault,
	"ListProjectJobs page_size missing":         hasDefault,
	"ListRecords limit 0":                       zeroIsNone,
	"ListRelatedProjectInfo page_size 0":        zeroIsNone,
	"ShowJobListByProjectId page_index missing": hasDefault,
	"ShowJobListByProjectId page_size missing":  hasDefault,
	"ShowListHistory interval missing":          hasDefault,
	"ShowListHistory limit missing":             hasDefault,
	"ShowListHistory offset missing":            hasDefault,
	"ShowListPeriodHistory limit missing":       hasDefault,
	"ShowListPeriodHistory offset missing":      hasDefault,
	"UpdateKeystore id missing":                 inPath,
}

// node is a part of a JSON document.
type node map[string]any

func (n node) at(key string) node {
	inner, _ := n[key].(map[string]any)
	return inner
}

func (n node) list(key string) []any {
	list, _ := n[key].([]any)
	return list
}

// number returns a number as text, empty when it is not there.
func (n node) number(key string) string {
	if value, ok := n[key].(float64); ok {
		return strconv.Itoa(int(value))
	}
	return ""
}

// promised are the parameters, and the mandatory fields of bodies, that the server's own document has.
func promised(t *testing.T, s *servertest.Server) map[string][]parameter {
	t.Helper()
	var doc node
	if err := json.Unmarshal(get(t, s, "/openapi.json"), &doc); err != nil {
		t.Fatal(err)
	}
	all := map[string][]parameter{}
	for path := range doc.at("paths") {
		for method := range doc.at("paths").at(path) {
			operation := doc.at("paths").at(path).at(method)
			id, _ := operation["operationId"].(string)
			for _, one := range operation.list("parameters") {
				p := node(one.(map[string]any))
				place, name := p["in"].(string), p["name"].(string)
				if place == "header" {
					continue
				}
				schema := p.at("schema")
				kind, _ := schema["type"].(string)
				limits := ""
				switch {
				case schema.number("maximum") != "":
					limits = schema.number("minimum") + ".." + schema.number("maximum")
				case schema.number("maxLength") != "":
					limits = "length " + cmp.Or(schema.number("minLength"), "0") + ".." + schema.number("maxLength")
				case schema["pattern"] != nil:
					limits = "pattern " + schema["pattern"].(string)
				case schema["format"] == "date":
					limits = "pattern ^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
				case schema.list("enum") != nil:
					var words []string
					for _, word := range schema.list("enum") {
						words = append(words, word.(string))
					}
					limits = "one of " + strings.Join(words, "|")
				}
				all[id] = append(all[id], parameter{id, place, name, p["required"] == true, kind, limits})
			}
			for _, field := range mandatory(doc, operation.at("requestBody").at("content").at("application/json").at("schema"), "") {
				all[id] = append(all[id], parameter{operation: id, place: "body", name: field, mandatory: true})
			}
		}
	}
	return all
}

// mandatory returns the paths of fields that a schema demands, in objects and in lists of them.
func mandatory(doc, schema node, path string) (fields []string) {
	if ref, ok := schema["$ref"].(string); ok {
		schema = doc.at("components").at("schemas").at(ref[strings.LastIndex(ref, "/")+1:])
	}
	for _, key := range []string{"allOf", "anyOf"} {
		for _, part := range schema.list(key) {
			fields = append(fields, mandatory(doc, part.(map[string]any), path)...)
		}
	}
	for _, name := range schema.list("required") {
		fields = append(fields, path+name.(string))
	}
	for name := range schema.at("properties") {
		fields = append(fields, mandatory(doc, schema.at("properties").at(name), path+name+".")...)
	}
	if items := schema.at("items"); items != nil {
		fields = append(fields, mandatory(doc, items, strings.TrimSuffix(path, ".")+"[].")...)
	}
	return fields
}

// TestLimits calls every operation with each documented parameter, of the published definitions and of the server's own document, at its limits, beyond them, and without it where it is mandatory. What is beyond
// has to be refused by a message that names the parameter; what is at a limit must not be called wrong.
func TestLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var sent raw
	catcher := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		sent = raw{method: r.Method, path: r.URL.EscapedPath(), query: r.URL.Query(), body: string(body)}
		_, _ = answer.Write([]byte("{}"))
	}))
	t.Cleanup(catcher.Close)
	client := reflect.ValueOf((&recorder{Server: catcher}).client(t, w))
	templates := map[string]string{}
	for _, line := range lines(t, operationsFile) {
		words := strings.Fields(line)
		templates[words[0]] = words[2]
	}
	all := documented(t)
	for operation, more := range promised(t, w.s) {
		for _, p := range more {
			if !slices.Contains(all[operation], p) {
				all[operation] = append(all[operation], p)
			}
		}
	}
	for _, m := range methods() {
		t.Run(m.Name, func(t *testing.T) {
			w.t = t
			if len(all[m.Name]) == 0 || m.Name == "UploadKeystore" {
				return
			}
			fresh := func() raw {
				in := w.request(m.Name, m.Type.In(1).Elem(), catcher.URL)
				client.MethodByName(m.Name).Call([]reflect.Value{in}) // what it makes of the answer does not matter
				sent.operation, sent.template = m.Name, templates[m.Name]
				return sent
			}
			if status, body := w.send(fresh()); status != http.StatusOK {
				t.Fatalf("the request that the rest is made from: %d %s", status, body)
			}
			for _, p := range all[m.Name] {
				p.check(t, w, fresh, knows(m.Type.In(1).Elem(), p))
			}
		})
	}
}

// knows reports whether the SDK's request can have a parameter.
func knows(request reflect.Type, p parameter) bool {
	if p.place != "body" {
		return true
	}
	field, ok := request.FieldByName("Body")
	model := field.Type
	for _, key := range strings.Split(p.name, ".") {
		for ok && (model.Kind() == reflect.Pointer || model.Kind() == reflect.Slice) {
			model = model.Elem()
		}
		if !ok || model.Kind() != reflect.Struct {
			return false
		}
		field, ok = model.FieldByNameFunc(func(name string) bool {
			f, _ := model.FieldByName(name)
			tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			return tag == strings.TrimSuffix(key, "[]")
		})
		model = field.Type
	}
	return ok
}

// check sends what is not allowed, and then what is just allowed, each time in a request of its own, made by fresh. inSDK says that such a request
// has the parameter when it is mandatory.
func (p parameter) check(t *testing.T, w *world, fresh func() raw, inSDK bool) {
	t.Helper()
	good := fresh()
	name := strings.TrimSuffix(p.name[strings.LastIndex(p.name, ".")+1:], "[]")
	refused := func(what string, r raw) {
		t.Helper()
		status, body := w.send(r)
		wrong := status != http.StatusBadRequest || !strings.Contains(body, name)
		if _, known := lenient[p.operation+" "+p.name+" "+what]; wrong != known {
			t.Errorf("%s %s: %s %s gives %d %s", p.place, p.name, what, fmt.Sprint(r.path, " ", r.query.Encode(), " ", r.body), status, body)
		}
	}
	if p.mandatory && p.place != "path" {
		r, had := good.without(t, p)
		switch {
		case had:
			refused("missing", r)
		case inSDK:
			t.Errorf("the request that the rest is made from has no %s: %s %s", p.name, good.query.Encode(), good.body)
		default:
			return
		}
	}
	if p.place == "body" {
		refused("an object of another kind", good.set(t, p, json.RawMessage(`{"nothing": ["like", "this"]}`)))
	}
	atLimits, beyond := p.values()
	for _, value := range beyond {
		refused(value, good.with(t, p, value))
	}
	for _, value := range atLimits {
		if p.place == "body" && strings.HasPrefix(p.limits, "length ") { // names are unique
			first := strings.ReplaceAll(w.name("n"), "-", "") + "_"
			value = first + value[len(first):]
		}
		status, body := w.send(fresh().with(t, p, value))
		if status >= http.StatusInternalServerError || status == http.StatusBadRequest && (good.method == http.MethodGet || strings.Contains(body, name)) {
			t.Errorf("%s %s: %q gives %d %s", p.place, p.name, value, status, body)
		}
	}
}
