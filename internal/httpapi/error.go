package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"atelier/internal/fault"
)

// Codes of the vendor's that more than one place uses. docs/errors.md lists all of them.
const (
	codeInvalid         = "CB.00060200"
	codeInvalidJobID    = "CB.00060201"
	codeInvalidID       = "CB.00060202"
	codeGateway         = "APIGW.0201"
	codeNoSuchAPI       = "APIGW.0101"
	codeNotFound        = "CB.00031006"
	codeOldNotFound     = "DEVCB.00031006"
	codeUnauthenticated = "APIGW.0301"
	codeThrottled       = "APIGW.0308"
	codeInternal        = "CB.00060101"
	codeBusy            = "CB.00060100"

	invalidPrefix = "Invalid parameter. "
)

// apiError is a failure with what the wire says about it.
type apiError struct {
	Status  int
	Code    string
	Prefix  string // the vendor's words before the message, which the identity service leaves out
	Message string

	retryAfter int // seconds, for a client that has to wait
}

func (e *apiError) Error() string {
	return strconv.Itoa(e.Status) + " " + e.Code + " " + e.Prefix + e.Message
}

func invalid(code, field, format string, args ...any) error {
	return &apiError{Status: http.StatusBadRequest, Code: code, Prefix: invalidPrefix, Message: fault.Field(field, format, args...).Error()}
}

// wireFault is how one kind of fault looks on the wire. Old operations have an older prefix for some codes.
type wireFault struct {
	status  int
	code    string
	oldCode string // of operations under /v1 and /v2, when it differs
	prefix  string // what the vendor's message begins with
}

// wireFaults is the one table from kinds of failure to statuses and codes. Where the vendor documents no code, it is this
// project's own, from CB.00039001 on.
var wireFaults = map[fault.Kind]wireFault{
	fault.Invalid:         {http.StatusBadRequest, codeInvalid, "", invalidPrefix},
	fault.Unauthenticated: {http.StatusUnauthorized, codeUnauthenticated, "", "Incorrect IAM authentication information: "},
	fault.Forbidden:       {http.StatusForbidden, "CB.00031001", "DEVCB.00031001", ""},
	fault.NotFound:        {http.StatusNotFound, codeNotFound, codeOldNotFound, ""},
	fault.Exists:          {http.StatusBadRequest, "CB.00039001", "", ""},
	fault.Disabled:        {http.StatusBadRequest, "CB.00039002", "", ""},
	fault.Limit:           {http.StatusBadRequest, "CB.00039003", "", ""},
	fault.Finished:        {http.StatusBadRequest, "DEV.CB.032302", "", ""},
	fault.NoHistory:       {http.StatusForbidden, "CB.00031059", "", ""},
	fault.Period:          {http.StatusBadRequest, "CB.00031105", "", ""},
	fault.Unavailable:     {http.StatusInternalServerError, codeBusy, "", ""},
	fault.Internal:        {http.StatusInternalServerError, codeInternal, "", ""},
}

// onWire returns how err looks to a client of an operation; old says that it is one of /v1 or /v2. No text of an internal
// error gets out.
func onWire(err error, old bool) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	if e := refusal(err); e != nil {
		return e
	}
	kind := fault.KindOf(err)
	w := wireFaults[kind]
	code := w.code
	if old && w.oldCode != "" {
		code = w.oldCode
	}
	switch kind {
	case fault.Internal:
		return &apiError{Status: w.status, Code: code, Message: "Internal error. Its details are in the server's log under this request id."}
	case fault.Unavailable:
		return &apiError{Status: w.status, Code: code, Message: "The service is briefly unavailable. Try again later."}
	}
	text, _ := fault.Public(err)
	return &apiError{Status: w.status, Code: code, Prefix: w.prefix, Message: text}
}

// errorBody is the form of every error but those of the identity service.
type errorBody struct {
	Code      string `json:"error_code"`
	Message   string `json:"error_msg"`
	RequestID string `json:"request_id"`
}

// chinese says in a word what each code is about. The sentence after it names fields and values as they are written, in English.
var chinese = map[string]string{
	codeInvalid: "参数错误", codeInvalidJobID: "任务ID错误", codeInvalidID: "ID错误", codeFileName: "文件名错误", codeNoFile: "文件不能为空", codeTooManyFiles: "文件数量过多",
	codeGateway: "请求错误", codeNoSuchAPI: "API不存在", codeNotFound: "资源不存在", codeOldNotFound: "资源不存在", codeNoTemplate: "模板不存在",
	codeUnauthenticated: "认证信息错误", "APIGW.0307": "令牌需要更新", "APIGW.0302": "用户无权访问该API", codeThrottled: "请求过于频繁",
	"CB.00031001": "没有权限", "DEVCB.00031001": "没有权限", "CB.00039001": "名称已存在", "CB.00039002": "任务已禁用", "CB.00039003": "已达到上限",
	"DEV.CB.032302": "构建状态已改变", "CB.00031059": "没有构建历史", "CB.00031105": "查询时间跨度过长", codeBusy: "网络繁忙，请稍后重试", codeInternal: "内部错误",
}

// inChinese returns the error for who reads Chinese.
func (e *apiError) inChinese() *apiError {
	words, ok := chinese[e.Code]
	if !ok {
		return e
	}
	other := *e
	other.Prefix = words + "。"
	return &other
}

// errorStyle makes the body of an error.
type errorStyle func(e *apiError, requestID string) any

func buildError(e *apiError, requestID string) any {
	return errorBody{e.Code, e.Prefix + e.Message, requestID}
}

// writeError answers with an error, and logs what the client is not told.
func (a *API) writeError(w http.ResponseWriter, r *http.Request, e *apiError, cause error, style errorStyle) {
	id := w.Header().Get(requestIDHeader)
	if e.Status >= http.StatusInternalServerError && !errors.Is(cause, context.Canceled) {
		a.Log.ErrorContext(r.Context(), "request failed", "request_id", id, "method", r.Method, "path", r.URL.Path, "error", cause)
	}
	if e.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(e.retryAfter))
	}
	if prefersChinese(r) {
		e = e.inChinese()
	}
	body, err := encode(style(e, id))
	if err != nil {
		panic(err) // texts and numbers can be encoded
	}
	if m, ok := w.(*measured); ok {
		m.code = e.Code
	}
	status := e.Status
	if a.MissingIs422 && (e.Code == codeNotFound || e.Code == codeOldNotFound || e.Code == codeNoTemplate) {
		status = http.StatusUnprocessableEntity
	}
	if rest := unread(r); rest != nil && r.ProtoMajor == 1 {
		rest.answerFirst(w, r, func() { writeJSON(w, status, body) })
		return
	}
	writeJSON(w, status, body)
}
