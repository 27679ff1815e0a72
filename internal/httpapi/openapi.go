package httpapi

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"atelier/internal/fault"
)

// The document in both forms, by their paths.
const (
	openAPIJSON = "/openapi.json"
	openAPIYAML = "/openapi.yaml"
)

// examples are a request's body and an answer of each operation of the vendor's SDK, as test/conformance recorded them.
//
//go:embed examples.json
var examples []byte

type example struct {
	Request json.RawMessage `json:"request,omitempty"`
	Answer  json.RawMessage `json:"answer,omitempty"`
}

// The parts of an OpenAPI 3.1 document that this one has.
type (
	document struct {
		OpenAPI    string                             `json:"openapi"`
		Info       documentInfo                       `json:"info"`
		Servers    []documentServer                   `json:"servers"`
		Security   []map[string][]string              `json:"security"`
		Tags       []documentTag                      `json:"tags"`
		Paths      map[string]map[string]documentPath `json:"paths"`
		Components documentComponents                 `json:"components"`
	}
	documentInfo struct {
		Title       string            `json:"title"`
		Version     string            `json:"version"`
		Description string            `json:"description"`
		License     map[string]string `json:"license"`
	}
	documentServer struct {
		URL string `json:"url"`
	}
	documentTag struct {
		Name string `json:"name"`
	}
	documentComponents struct {
		Schemas  map[string]*schema           `json:"schemas"`
		Security map[string]map[string]string `json:"securitySchemes"`
	}
	documentPath struct {
		ID          string                  `json:"operationId"`
		Summary     string                  `json:"summary"`
		Description string                  `json:"description,omitempty"`
		Tags        []string                `json:"tags"`
		Deprecated  bool                    `json:"deprecated,omitempty"`
		State       state                   `json:"x-vendor-state"`
		Security    *[]map[string][]string  `json:"security,omitempty"`
		Parameters  []documentParameter     `json:"parameters,omitempty"`
		Body        *documentBody           `json:"requestBody,omitempty"`
		Answers     map[string]documentBody `json:"responses"`
	}
	documentParameter struct {
		Name        string  `json:"name"`
		In          string  `json:"in"`
		Required    bool    `json:"required,omitempty"`
		Description string  `json:"description,omitempty"`
		Schema      *schema `json:"schema"`
	}
	documentBody struct {
		Description string                     `json:"description,omitempty"`
		Required    bool                       `json:"required,omitempty"`
		Codes       []string                   `json:"x-error-codes,omitempty"`
		Content     map[string]documentContent `json:"content,omitempty"`
	}
	documentContent struct {
		Schema  *schema         `json:"schema"`
		Example json.RawMessage `json:"example,omitempty"`
	}
)

const documentText = "What this service can do. It is wire-compatible with Huawei Cloud's CodeArts Build API: operations have the vendor's names, " +
	"and x-vendor-state says what the vendor says of their future. Those that it calls outdated or retiring are marked as deprecated, and stay here."

// parameterWords say what parameters are about, where their name is all there is to go by.
var parameterWords = map[string]string{
	"job_id":               "Id of the build task.",
	"project_id":           "Id of the project.",
	"build_no":             "Number of the build.",
	"build_number":         "Number of the build.",
	"record_id":            "Id of the build's record.",
	"build_project_id":     "Id of the build project, which a task has.",
	"build_flow_record_id": "Id of the record of a flow.",
	"page_index":           "Page, from 0.",
	"page_size":            "Rows of a page; 0 stands for the default.",
	"page_no":              "Page, from 1.",
	"page":                 "Page.",
	"per_page":             "Rows of a page.",
	"limit":                "Rows of a page.",
	"offset":               "Page or position, from 0.",
	"interval":             "Days back from today.",
	"start_time":           "Begin of the period.",
	"end_time":             "End of the period.",
	"from_date":            "Not before this time.",
	"to_date":              "Not after this time.",
	"search":               "Part of a name.",
	"sort_field":           "What to sort by.",
	"sort_order":           "Direction.",
	"domain_id":            "Id of the tenant.",
	"uuid":                 "Id of the template.",
	"log_level":            "Least level of lines.",
	"keystore_id":          "Id of the file.",
	"permission_id":        "Id of the permission.",
	"file":                 "Version and name of the file, with slashes.",
	"file_name":            "Name of the file.",
	"repository_name":      "Name of the repository.",
	"branch":               "Name of a branch; empty or all for every one.",
	"branches":             "Only builds of these branches.",
	"tags":                 "Only what has these tags.",
	"triggers":             "Only builds that were started so.",
	"job_name":             "Name of the build task.",
	"arch":                 "Architecture.",
	"image_id":             "Id of the image.",
	"root_id":              "Id of the report.",
	"task_name":            "Step, such as stage1.",
	"notice_type":          "Channel of notices.",
	"delivery_id":          "Id of the delivery.",
	"message_id":           "Id of the message.",
	"provider":             "Who sends: github, gitlab, gitea or codearts.",
	"access_key":           "Access key.",
	"user_id":              "Id of the user.",
	"compress":             "As a ZIP file.",
	"start_offset":         "Position in the log, in bytes.",
	"end_offset":           "Position in the log, in bytes; 0 stands for its end.",
	"size":                 "Lines at most.",
	"length":               "Bytes at most.",
	"sort":                 "AES from the begin on, DESC from the end on.",
	"group_path_id":        "Ids of groups from the top, with dots between them.",
	"by_group":             "Only tasks of one group.",
	"creator_id":           "Id of the creator.",
	"build_status":         "State of the last build.",
	"get_all_params":       "Accepted; everything is always there.",
	"original_no":          "Version before.",
	"revisedl_no":          "Version after. The spelling is the vendor's.",
	"all":                  "Accepted; everything is always there.",
	"check_param_used":     "Only parameters that steps use.",
	"cascade":              "Also the builds of a flow.",
	"default_host":         "Architecture.",
	"source_group_id":      "Group that tasks are moved from.",
	"target_group_id":      "Group that tasks are moved to.",
	"filter":               "Which templates.",
	"id":                   "Id.",
	"name":                 "Name.",
	"parent_id":            "Id of the parent.",
	"enabled":              "Whether it is enabled.",
}

// header is a header that an operation reads or wants.
type header struct {
	name, text string
	required   bool
	schema     *schema
}

var headers = map[string][]header{
	"RunJob":                {{"X-Client-Token", "The same token twice starts one build.", false, short(64)}},
	"ExecuteJob":            {{"X-Client-Token", "The same token twice starts one build.", false, short(64)}},
	"FollowLogEvents":       {{"Last-Event-ID", "Where to go on; wins over offset.", false, typed("string")}},
	"KeystoneValidateToken": {{subjectHeader, "The token that is asked about.", true, typed("string")}},
	"KeystoneCheckToken":    {{subjectHeader, "The token that is asked about.", true, typed("string")}},
	"KeystoneRevokeToken":   {{subjectHeader, "The token to be revoked.", true, typed("string")}},
}

// demands are fields that the bodies of some operations must have, and those of others with the same body need not.
var demands = map[string][]string{
	"CopyJob": {"copy_job_id"}, "UpdateBuildJob": {"job_id"}, "UpdateNewJob": {"job_id"}, "CreateJobGroup": {"name"}, "UpdateJobGroup": {"id"},
	"AddKeystorePermission":    {"keystore_id", "user_id", "usage", "modify", "delete", "setting", "can_absent"},
	"UpdateKeystorePermission": {"id", "keystore_id", "usage", "modify", "delete"},
}

// refusals are those kinds of failure that only some operations have. Tests compare every failure that they provoke with the document.
var refusals = map[string][]fault.Kind{
	"CreateBuildJob": {fault.Exists, fault.Limit}, "CreateNewJob": {fault.Exists, fault.Limit}, "CopyJob": {fault.Exists, fault.Limit},
	"UpdateBuildJob": {fault.Exists}, "UpdateNewJob": {fault.Exists}, "RestoreRecyclingJobs": {fault.Exists, fault.Limit},
	"RunJob": {fault.Disabled}, "ExecuteJob": {fault.Disabled}, "RerunBuild": {fault.Disabled},
	"StopBuildJob": {fault.Finished}, "StopJob": {fault.Finished}, "StopTheJob": {fault.Finished},
	"CreateJobGroup": {fault.Exists, fault.Limit}, "UpdateJobGroup": {fault.Exists},
	"CreateTemplate": {fault.Exists, fault.Limit}, "CreateTemplates": {fault.Exists, fault.Limit},
	"UploadKeystore": {fault.Exists}, "UpdateKeystore": {fault.Exists}, "AddKeystorePermission": {fault.Exists},
	"ListBuildInfoRecord": {fault.Period}, "ListBuildInfoRecordByJobId": {fault.Period},
	"ShowListPeriodHistory": {fault.Period}, "ShowJobSuccessRatio": {fault.Period},
	"ShowHistoryDetails": {fault.NoHistory}, "ShowLastHistory": {fault.NoHistory},
	"ReceiveHook": {fault.Unauthenticated},
}

// aboutNothing are operations that name nothing which could be missing, but for templates, which have a code of their own.
var aboutNothing = []string{
	"AddFavouriteCustomTemplate", "AddFavouriteOfficialTemplate", "CheckJobCountIsTopLimit", "CheckJobInternal", "ClearRecyclingJobs", "CreateTemplate",
	"CreateTemplates", "DeleteTemplate", "DeleteTemplates", "ListBriefRecord", "ListCustomTemplate", "ListJob", "ListKeystore", "ListKeystoreSearch",
	"ListMessages", "ListOfficialTemplate", "ListRecommendOfficialTemplate", "ListRecyclingJob", "ListRelatedProjectInfo", "ListTemplates",
	"ReceiveHook", "RemoverFavouriteCustomTemplate", "RemoverFavouriteOfficialTemplate", "SetKeepTime", "ShowBuildParamsList",
	"ShowDefaultBuildParameters", "ShowDomainStatus", "ShowDomainsStatuses", "ShowImageTemplateList", "ShowJobSystemParameters",
	"ShowPackageSpecCountDown", "ShowRelatedProject", "ShowSummaryBuildJobInfo", "ShowTemplate", "ShowUserChargeType", "UploadKeystore",
}

// allowed are operations that everybody may call who may come in: they are about the caller's own, or show what the caller may see.
var allowed = []string{
	"AddFavouriteCustomTemplate", "AddFavouriteOfficialTemplate", "CheckJobCountIsTopLimit", "CheckJobInternal", "ClearRecyclingJobs", "CreateTemplate",
	"CreateTemplates", "ListBriefRecord", "ListCustomTemplate", "ListJob", "ListKeystore", "ListKeystoreSearch", "ListMessages", "ListOfficialTemplate",
	"ListRecyclingJob", "ListRelatedProjectInfo", "ListTemplates", "ReadMessage", "RemoverFavouriteCustomTemplate", "RemoverFavouriteOfficialTemplate",
	"ShowAvailableInnerSpec", "ShowKeystorePermission", "ShowBuildParamsList", "ShowDefaultBuildParameters", "ShowDockerfileTemplate", "ShowDomainStatus", "ShowDomainsStatuses",
	"ShowImageTemplateList", "ShowJobSystemParameters", "ShowPackageSpecCountDown", "ShowProjectPermission", "ShowRelatedProject",
	"ShowSummaryBuildJobInfo", "ShowTemplate", "ShowUserChargeType", "ShowUserOverPackageQuota", "UploadKeystore",
}

// moreCodes are codes that belong to no kind of fault and that only some operations have.
var moreCodes = []struct {
	status     int
	code       string
	operations []string
}{
	{http.StatusNotFound, codeNoTemplate, []string{
		"ShowTemplate", "DeleteTemplate", "DeleteTemplates", "SaveTemplateUsedInfo", "AddFavouriteCustomTemplate", "RemoverFavouriteCustomTemplate",
		"AddFavouriteOfficialTemplate", "RemoverFavouriteOfficialTemplate",
	}},
	{http.StatusBadRequest, codeInvalid, []string{"ExecuteAutoBuildJob", "UploadKeystore"}}, // which read their bodies themselves
	{http.StatusBadRequest, codeFileName, []string{"UploadKeystore", "UpdateKeystore", "DownloadKeystore", "DownloadKeystoreByName"}},
	{http.StatusBadRequest, codeNoFile, []string{"UploadKeystore"}},
	{http.StatusBadRequest, codeTooManyFiles, []string{"UploadKeystore"}},
}

// document makes the document of the table of operations.
func (a *API) document() document {
	components := make(map[string]*schema)
	in := &schemas{components: components, names: make(map[reflect.Type]string)}
	out := &schemas{components: components, names: make(map[reflect.Type]string), answers: true}
	var recorded map[string]example
	if err := json.Unmarshal(examples, &recorded); err != nil {
		panic(err) // a test reads it
	}
	d := document{
		OpenAPI: "3.1.0", Servers: []documentServer{{"/"}}, Paths: make(map[string]map[string]documentPath),
		Info:     documentInfo{"Atelier", "3", documentText, map[string]string{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		Security: []map[string][]string{{"token": {}}, {"signature": {}}},
		Components: documentComponents{components, map[string]map[string]string{
			"token":     {"type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "A token of the identity service: POST /v3/auth/tokens gives one."},
			"signature": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "SDK-HMAC-SHA256 with an access key, as SDKs sign."},
		}},
	}
	tags := map[string]bool{}
	for _, o := range a.operations() {
		route := strings.Replace(o.path, "*", "{file}", 1)
		if d.Paths[route] == nil {
			d.Paths[route] = make(map[string]documentPath)
		}
		p := a.describe(o, route, in, out, recorded[o.id])
		if !tags[p.Tags[0]] {
			tags[p.Tags[0]] = true
			d.Tags = append(d.Tags, documentTag{p.Tags[0]})
		}
		d.Paths[route][strings.ToLower(o.method)] = p
	}
	return d
}

// tag is the part of the service that an operation belongs to.
func (o operation) tag(route string) string {
	switch parts := strings.Split(route, "/"); {
	case o.global || o.open && strings.HasPrefix(route, "/v3/auth"):
		return "identity"
	case len(parts) > 2 && !strings.HasPrefix(parts[2], "{"):
		if singular := strings.TrimSuffix(parts[2], "s"); singular != "new" {
			return singular
		}
		return parts[2]
	default:
		return "job"
	}
}

func (a *API) describe(o operation, route string, in, out *schemas, recorded example) documentPath {
	p := documentPath{
		ID: o.id, Summary: o.summary, Tags: []string{o.tag(route)}, State: o.state, Deprecated: o.state == outdated || o.state == retiring, Answers: make(map[string]documentBody),
	}
	if o.open {
		p.Security = &[]map[string][]string{}
	}
	codes := map[int][]string{}
	for i := range o.in.NumField() {
		f := o.in.Field(i)
		if mode, ok := f.Tag.Lookup("body"); ok {
			codes[http.StatusBadRequest] = append(codes[http.StatusBadRequest], codeInvalid)
			if f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.String { // a bare list of ids
				codes[http.StatusBadRequest] = append(codes[http.StatusBadRequest], codeInvalidID)
			}
			codes[http.StatusBadRequest] = append(codes[http.StatusBadRequest], codesOfIDs(f.Type)...)
			body := in.of(f.Type)
			if more := demands[o.id]; more != nil {
				body = &schema{AllOf: []*schema{body, {Required: more}}}
			}
			p.Body = &documentBody{Required: mode != "optional", Content: map[string]documentContent{"application/json": {body, recorded.Request}}}
			continue
		}
		name, inPath := f.Tag.Lookup("path")
		if name == "*" {
			name = "file"
		}
		place := "path"
		if !inPath {
			name, place = f.Tag.Get("query"), "query"
		}
		item := f.Type
		if item.Kind() == reflect.Slice {
			item = item.Elem()
		}
		s := in.of(item).form(f.Tag.Get("doc"))
		if item != f.Type {
			s = &schema{Type: kinds{"array"}, MaxItems: maxListed, Items: s}
		}
		p.Parameters = append(p.Parameters, documentParameter{name, place, inPath || f.Tag.Get("required") == "true", parameterWords[name], s})
		codes[http.StatusBadRequest] = append(codes[http.StatusBadRequest], codeOfWrong(f.Type)...)
		if !inPath && (f.Tag.Get("required") == "true" || f.Type.Kind() == reflect.Slice) { // which may be missing, or have too many parts
			codes[http.StatusBadRequest] = append(codes[http.StatusBadRequest], codeInvalid)
		}
	}
	for _, h := range headers[o.id] {
		p.Parameters = append(p.Parameters, documentParameter{h.name, "header", h.required, h.text, h.schema})
	}
	if o.id == "UploadKeystore" {
		p.Body = uploadBody()
	}
	a.describeAnswer(o, &p, out, recorded)
	a.describeErrors(o, &p, out, codes)
	return p
}

// uploadBody is the one body that is a form.
func uploadBody() *documentBody {
	form := &schema{Type: kinds{"object"}, Required: []string{"file", "privacy"}, Properties: map[string]*schema{
		"file": {Type: kinds{"string"}, Format: "binary"}, "description": typed("string"), "privacy": {Type: kinds{"boolean"}, Description: "Must be true: the service may keep the file."},
	}}
	return &documentBody{Required: true, Content: map[string]documentContent{"multipart/form-data": {form, nil}}}
}

// codeOfWrong returns the code of a parameter of a type that is wrong, if it has one of its own.
func codeOfWrong(t reflect.Type) []string {
	if t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	// What has more characters than any text may have is always wrong.
	err := reflect.New(t).Interface().(parser).parse("", strings.Repeat("\x00", maxURI))
	return []string{onWire(err, false).Code}
}

// freeIDs are keys of bodies that end like those of ids, and may have any text.
var freeIDs = []string{"build_commit_id", "endpoint_id", "module_id", "repo_id", "resource_id"}

// codesOfIDs returns the codes of ids in a body that have a wrong form.
func codesOfIDs(t reflect.Type) (codes []string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return codesOfIDs(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			switch {
			case strings.Contains(name, "job_id"):
				codes = append(codes, codeInvalidJobID)
			case slices.Contains(freeIDs, name):
			case name == "id" || strings.HasSuffix(name, "_id"):
				codes = append(codes, codeInvalidID)
			default:
				codes = append(codes, codesOfIDs(t.Field(i).Type)...)
			}
		}
	}
	return codes
}

// describeAnswer says what comes back when all went well.
func (a *API) describeAnswer(o operation, p *documentPath, out *schemas, recorded example) {
	code, t := http.StatusOK, o.out
	if s, ok := reflect.Zero(t).Interface().(interface{ status() (int, any) }); ok {
		code, _ = s.status()
		if t.NumField() == 0 {
			p.Answers[strconv.Itoa(code)] = documentBody{Description: "Done."}
			return
		}
		t = t.Field(0).Type
	}
	content := map[string]documentContent{}
	binary := &schema{Type: kinds{"string"}, Format: "binary"}
	switch t {
	case reflect.TypeFor[*download](), reflect.TypeFor[*artifactFile]():
		content["application/octet-stream"] = documentContent{binary, nil}
	case reflect.TypeFor[*logEvents]():
		content["text/event-stream"] = documentContent{typed("string"), nil}
	default:
		content["application/json"] = documentContent{out.answer(t), recorded.Answer}
	}
	p.Answers[strconv.Itoa(code)] = documentBody{Description: "The answer.", Content: content}
}

// answer returns the schema of an answer, which is never null.
func (s *schemas) answer(t reflect.Type) *schema {
	if e, ok := reflect.Zero(t).Interface().(interface{ forms() []reflect.Type }); ok {
		any := &schema{}
		for _, form := range e.forms() {
			any.AnyOf = append(any.AnyOf, s.of(form))
		}
		return any
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return s.of(t)
}

// describeErrors says what comes back when something is wrong.
func (a *API) describeErrors(o operation, p *documentPath, out *schemas, codes map[int][]string) {
	add := func(kind fault.Kind) {
		e := onWire(fault.New(kind, "x"), o.old())
		codes[e.Status] = append(codes[e.Status], e.Code)
	}
	codes[http.StatusBadRequest] = append(codes[http.StatusBadRequest], codeGateway)
	codes[http.StatusRequestEntityTooLarge] = []string{codeGateway}
	add(fault.Internal)
	add(fault.Unavailable)
	if !o.open {
		add(fault.Unauthenticated)
		codes[http.StatusUnauthorized] = append(codes[http.StatusUnauthorized], "APIGW.0307")
		if !slices.Contains(allowed, o.id) {
			add(fault.Forbidden)
		}
		codes[http.StatusForbidden] = append(codes[http.StatusForbidden], "APIGW.0302")
	}
	codes[http.StatusTooManyRequests] = []string{codeThrottled}
	if !slices.Contains(aboutNothing, o.id) {
		add(fault.NotFound)
	}
	for _, kind := range refusals[o.id] {
		add(kind)
	}
	if o.id == "CreateBuildJob" || o.id == "CreateNewJob" { // which make one
		codes[http.StatusBadRequest] = slices.DeleteFunc(codes[http.StatusBadRequest], func(code string) bool { return code == codeInvalidJobID })
	}
	for _, of := range moreCodes {
		if slices.Contains(of.operations, o.id) {
			codes[of.status] = append(codes[of.status], of.code)
		}
	}
	body := reflect.TypeFor[errorBody]()
	if o.style != nil {
		body = reflect.TypeOf(o.style(&apiError{}, ""))
	}
	for status, list := range codes {
		slices.Sort(list)
		list = slices.Compact(list)
		if status == http.StatusNotFound && a.MissingIs422 {
			status = http.StatusUnprocessableEntity
		}
		answer := documentBody{Description: http.StatusText(status) + ".", Content: map[string]documentContent{"application/json": {out.of(body), nil}}}
		if o.style == nil { // the identity service has numbers of its own
			answer.Codes = list
		}
		p.Answers[strconv.Itoa(status)] = answer
	}
}

// documents are the document's two forms, made when the first is asked for.
type documents struct {
	once       sync.Once
	json, yaml []byte
}

func (a *API) serveDocument(w http.ResponseWriter, r *http.Request) {
	a.documents.once.Do(func() {
		var err error
		if a.documents.json, err = encode(a.document()); err != nil {
			panic(err) // it is made of texts and numbers
		}
		if a.documents.yaml, err = yamlOf(a.documents.json); err != nil {
			panic(err)
		}
	})
	body, kind := a.documents.json, "application/json"
	if r.URL.Path == openAPIYAML {
		body, kind = a.documents.yaml, "application/yaml"
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// yamlOf returns JSON as YAML in its usual form, with the keys in the same order.
func yamlOf(text []byte) ([]byte, error) {
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		return nil, err
	}
	plain(&node)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	err := e.Encode(&node)
	return b.Bytes(), err
}

func plain(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		plain(child)
	}
}

// ErrorCodes returns the codes of errors that the document has for each operation, none for those of the identity service.
func ErrorCodes() map[string][]string {
	d, codes := (&API{}).document(), map[string][]string{}
	for _, methods := range d.Paths {
		for _, p := range methods {
			all := map[string]bool{}
			for _, answer := range p.Answers {
				for _, code := range answer.Codes {
					all[code] = true
				}
			}
			codes[p.ID] = slices.Sorted(maps.Keys(all))
		}
	}
	return codes
}
