package signature_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"

	"atelier/internal/iam/signature"
)

const (
	access  = "ATELIERTESTKEY000001"
	secret  = "wJ7Qm2xV9tB4nK6sR8pL1cD3fG5hJ0aZyXuEiOqT"
	date    = "20220909T063500Z"
	nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	usdk    = "huaweicloud-usdk-go/3.0"
	project = "eeb08ff821434781ac86211e640c50b2"
)

var (
	key = signature.Key{Access: access, Secret: secret}
	now = time.Date(2022, 9, 9, 6, 35, 0, 0, time.UTC)
)

func sha(text string) string {
	hash := sha256.Sum256([]byte(text))
	return hex.EncodeToString(hash[:])
}

// authorize signs by hand: the canonical text is written out, so nothing of what is tested takes part.
func authorize(signed, canonical string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("SDK-HMAC-SHA256\n" + date + "\n" + sha(canonical)))
	return "SDK-HMAC-SHA256 Access=" + access + ", SignedHeaders=" + signed + ", Signature=" + hex.EncodeToString(mac.Sum(nil))
}

// request returns a request as a server receives it. The date is set, headers are name, value, name, value …
func request(t testing.TB, line, body string, headers ...string) *http.Request {
	t.Helper()
	var text strings.Builder
	text.WriteString(line + " HTTP/1.1\r\nX-Sdk-Date: " + date + "\r\n")
	for i := 0; i < len(headers); i += 2 {
		text.WriteString(headers[i] + ": " + headers[i+1] + "\r\n")
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text.String() + "\r\n" + body)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func verify(r *http.Request, body string, secret string, at time.Time) error {
	claim, err := signature.Parse(r)
	if err != nil {
		return err
	}
	return claim.Verify(r, []byte(body), secret, at)
}

func TestWorkedVectors(t *testing.T) {
	t.Parallel()
	const start = `{"job_id":"cb5fa20de5fd4cf8be681d4bd6fdd2f6","parameter":[{"name":"hudson.model.StringParameterDefinition","value":"émile <&>"}]}`
	tests := []struct {
		name, line, body string
		headers          []string
		signed           string
		signature        string
	}{
		{
			"1: a query without a body", "GET /v3/jobs/cb5fa20de5fd4cf8be681d4bd6fdd2f6/61/record-info", "",
			[]string{"Host", "build.example.com", "X-Project-Id", project, "User-Agent", usdk, "Content-Type", "application/json"},
			"user-agent;x-project-id;x-sdk-date", "e7183e4aba4e897de874b1c09645c63eb477855183c2458bc875bee96a969547",
		},
		{
			"2: a body, the host and a temporary key", "POST /v3/jobs/build", start,
			[]string{"Host", "build.example.com:8443", "X-Project-Id", project, "X-Security-Token", "gQpjbi1ub3J0aC00ExampleTemporaryToken", "Content-Type", "application/json"},
			"host;x-project-id;x-sdk-date;x-security-token", "160a4a3c636fc752c324e4d5845f9fe893fa1040ea7259e5bea2f7e0f25c70db",
		},
		{
			"3: parameters", "GET /v1/job/" + project + "/list?build_status=red&build_status=blue&creator_id&page_index=0&page_size=10&search=a%20b%2Bc%2F%E5%90%8D~%2A", "",
			[]string{"Host", "build.example.com", "X-Domain-Id", "764f03980afc4e5c97a1a9a73c1d707a"},
			"x-domain-id;x-sdk-date", "db9096e2abc43fdaddac471b57f200001d5007a90bb4fc50c506b4f661cd8435",
		},
		{
			"4: a payload that is not signed", "POST /v2/keystore/upload", "--b\r\nanything",
			[]string{"Host", "build.example.com", "Content-Type", "multipart/form-data", "X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD"},
			"x-sdk-content-sha256;x-sdk-date", "eb568aa564aeb6ba1832992a633c777aac3130a517318f0c24f1deeefc46446c",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sent := func(sig string) *http.Request {
				authorization := "SDK-HMAC-SHA256 Access=" + access + ", SignedHeaders=" + tt.signed + ", Signature=" + sig
				return request(t, tt.line, tt.body, append([]string{"Authorization", authorization}, tt.headers...)...)
			}
			if err := verify(sent(tt.signature), tt.body, secret, now); err != nil {
				t.Error(err)
			}
			if err := verify(sent(tt.signature), tt.body, secret+"x", now); !errors.Is(err, signature.ErrMismatch) {
				t.Errorf("another secret: %v", err)
			}
			if err := verify(sent(strings.Replace(tt.signature, "a", "b", 1)), tt.body, secret, now); !errors.Is(err, signature.ErrMismatch) {
				t.Errorf("another signature: %v", err)
			}
		})
	}
}

// The requests in the file were signed by the official Go SDK and written down as a server received them.
func TestRequestsOfTheGoSDK(t *testing.T) {
	t.Parallel()
	archive, err := txtar.ParseFile("testdata/go-sdk.txtar")
	if err != nil || len(archive.Files) == 0 {
		t.Fatal("no requests", err)
	}
	for _, file := range archive.Files {
		t.Run(file.Name, func(t *testing.T) {
			t.Parallel()
			read := func() (*http.Request, string) {
				r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(file.Data))))
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Fatal(err)
				}
				return r, string(body)
			}
			r, body := read()
			if err := verify(r, body, secret, now); err != nil {
				t.Error(err)
			}
			for name, change := range map[string]func(*http.Request){
				"method": func(r *http.Request) { r.Method = "PATCH" },
				"path":   func(r *http.Request) { r.URL.Path, r.URL.RawPath = r.URL.Path+"x", "" },
				"query":  func(r *http.Request) { r.URL.RawQuery += "&x=1" },
				"date":   func(r *http.Request) { r.Header.Set("X-Sdk-Date", "20220909T063501Z") },
			} {
				r, body := read()
				if change(r); verify(r, body, secret, now) == nil {
					t.Errorf("a changed %s went through", name)
				}
			}
		})
	}
}

// What each client signs, with the canonical text that it makes.
func TestWhatClientsSign(t *testing.T) {
	t.Parallel()
	const (
		path   = "/v1/job/list"
		start  = "GET\n/v1/job/list/\n"
		host   = "build.example.com:8443"
		length = "2"
	)
	tests := []struct {
		name, line, body string
		headers          []string
		signed           string
		canonical        string
	}{
		{
			"Python signs the content type of a GET", "GET " + path, "",
			[]string{"Content-Type", "application/json", "User-Agent", "huaweicloud-usdk-python/3.0", "X-Project-Id", project},
			"content-type;host;user-agent;x-project-id;x-sdk-date",
			start + "\ncontent-type:application/json\nhost:" + host + "\nuser-agent:huaweicloud-usdk-python/3.0\nx-project-id:" + project + "\nx-sdk-date:" + date +
				"\n\ncontent-type;host;user-agent;x-project-id;x-sdk-date\n" + nothing,
		},
		{
			"Python signs the hash of nothing although it says unsigned", "GET " + path, "",
			[]string{"Content-Type", "text/plain", "X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD"},
			"x-sdk-content-sha256;x-sdk-date",
			start + "\nx-sdk-content-sha256:UNSIGNED-PAYLOAD\nx-sdk-date:" + date + "\n\nx-sdk-content-sha256;x-sdk-date\n" + nothing,
		},
		{
			"others then sign that it is unsigned", "GET " + path, "",
			[]string{"Content-Type", "text/plain", "X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD"},
			"x-sdk-content-sha256;x-sdk-date",
			start + "\nx-sdk-content-sha256:UNSIGNED-PAYLOAD\nx-sdk-date:" + date + "\n\nx-sdk-content-sha256;x-sdk-date\nUNSIGNED-PAYLOAD",
		},
		{
			"Java signs no content type", "GET " + path, "",
			[]string{"Content-Type", "application/json", "User-Agent", "huaweicloud-usdk-java/3.0", "X-Project-Id", project},
			"host;user-agent;x-project-id;x-sdk-date",
			start + "\nhost:" + host + "\nuser-agent:huaweicloud-usdk-java/3.0\nx-project-id:" + project + "\nx-sdk-date:" + date +
				"\n\nhost;user-agent;x-project-id;x-sdk-date\n" + nothing,
		},
		{
			"Node.js sends its user agent unsigned", "GET " + path, "",
			[]string{"Content-Type", "application/json", "User-Agent", "huaweicloud-usdk-nodejs/3.0", "X-Project-Id", project},
			"content-type;host;x-project-id;x-sdk-date",
			start + "\ncontent-type:application/json\nhost:" + host + "\nx-project-id:" + project + "\nx-sdk-date:" + date +
				"\n\ncontent-type;host;x-project-id;x-sdk-date\n" + nothing,
		},
		{
			"every header, the length too", "POST " + path, "{}",
			[]string{"Accept", "*/*", "Content-Length", length, "Content-Type", "application/json", "User-Agent", "curl/8"},
			"accept;content-length;content-type;host;user-agent;x-sdk-date",
			"POST\n/v1/job/list/\n\naccept:*/*\ncontent-length:2\ncontent-type:application/json\nhost:" + host + "\nuser-agent:curl/8\nx-sdk-date:" + date +
				"\n\naccept;content-length;content-type;host;user-agent;x-sdk-date\n" + sha("{}"),
		},
		{
			"a token beside it", "GET " + path, "",
			[]string{"X-Auth-Token", "t"},
			"host;x-auth-token;x-sdk-date",
			start + "\nhost:" + host + "\nx-auth-token:t\nx-sdk-date:" + date + "\n\nhost;x-auth-token;x-sdk-date\n" + nothing,
		},
		{
			"a plus sign sent, a blank signed", "GET " + path + "?q=a+b&a=%2B", "", nil,
			"x-sdk-date", start + "a=%2B&q=a%20b\nx-sdk-date:" + date + "\n\nx-sdk-date\n" + nothing,
		},
		{
			"parameters in any order, some empty, some twice", "GET " + path + "?b&a=2&&a=1&A=&b=x&=v", "", nil,
			"x-sdk-date", start + "=v&A=&a=1&a=2&b=&b=x\nx-sdk-date:" + date + "\n\nx-sdk-date\n" + nothing,
		},
		{
			"names sorted before they are escaped", "GET " + path + "?a-=1&a%3D=2&a=3", "", nil,
			"x-sdk-date", start + "a=3&a-=1&a%3D=2\nx-sdk-date:" + date + "\n\nx-sdk-date\n" + nothing,
		},
		{
			"several values of one header", "GET " + path, "",
			[]string{"X-A", "two ", "X-A", " one"},
			"x-a;x-sdk-date", start + "\nx-a:one\nx-a:two\nx-sdk-date:" + date + "\n\nx-a;x-sdk-date\n" + nothing,
		},
		{
			"a header that is not there", "GET " + path, "", nil,
			"x-b;x-sdk-date", start + "\nx-b:\nx-sdk-date:" + date + "\n\nx-b;x-sdk-date\n" + nothing,
		},
		{
			"an escaped slash stays in its segment", "GET /v1/a%2Fb/%7Ec*", "", nil,
			"x-sdk-date", "GET\n/v1/a%2Fb/~c%2A/\n\nx-sdk-date:" + date + "\n\nx-sdk-date\n" + nothing,
		},
		{
			"the hash of the body said in a header", "PUT " + path, "{}",
			[]string{"Content-Length", length, "X-Sdk-Content-Sha256", sha("{}")},
			"x-sdk-date", "PUT\n/v1/job/list/\n\nx-sdk-date:" + date + "\n\nx-sdk-date\n" + sha("{}"),
		},
		{
			"an unsigned body of JSON, as the PHP SDK sends it", "POST " + path, "{}",
			[]string{"Content-Type", "application/json", "X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD"},
			"x-sdk-content-sha256;x-sdk-date",
			"POST\n/v1/job/list/\n\nx-sdk-content-sha256:UNSIGNED-PAYLOAD\nx-sdk-date:" + date + "\n\nx-sdk-content-sha256;x-sdk-date\nUNSIGNED-PAYLOAD",
		},
		{
			"an unsigned body of no type", "POST " + path, "{}",
			[]string{"X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD"},
			"x-sdk-content-sha256;x-sdk-date",
			"POST\n/v1/job/list/\n\nx-sdk-content-sha256:UNSIGNED-PAYLOAD\nx-sdk-date:" + date + "\n\nx-sdk-content-sha256;x-sdk-date\nUNSIGNED-PAYLOAD",
		},
		{
			"bare address", "GET /", "", nil,
			"x-sdk-date", "GET\n/\n\nx-sdk-date:" + date + "\n\nx-sdk-date\n" + nothing,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			headers := append([]string{"Host", host, "Authorization", authorize(tt.signed, tt.canonical)}, tt.headers...)
			if err := verify(request(t, tt.line, tt.body, headers...), tt.body, secret, now); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestVerifyHead checks what is found out before the body is there.
func TestVerifyHead(t *testing.T) {
	t.Parallel()
	dated := "x-sdk-date:" + date
	covered := func(payload, of string) []string {
		return []string{
			"Authorization", authorize("x-sdk-content-sha256;x-sdk-date", "POST\n/a/\n\nx-sdk-content-sha256:"+payload+"\n"+dated+"\n\nx-sdk-content-sha256;x-sdk-date\n"+of),
			"X-Sdk-Content-Sha256", payload,
		}
	}
	plain := authorize("x-sdk-date", "POST\n/a/\n\n"+dated+"\n\nx-sdk-date\n"+sha("{}"))
	for name, test := range map[string]struct {
		headers []string
		now     time.Time
		decided bool
		want    error
	}{
		"the hash is signed":           {covered(sha("{}"), sha("{}")), now, true, nil},
		"unsigned":                     {covered("UNSIGNED-PAYLOAD", "UNSIGNED-PAYLOAD"), now, true, nil},
		"another hash is signed":       {covered(sha("{}"), nothing), now, true, signature.ErrMismatch},
		"two hashes":                   {append(covered(sha("{}"), sha("{}")), "X-Sdk-Content-Sha256", nothing), now, false, nil},
		"no hash":                      {[]string{"Authorization", plain}, now, false, nil},
		"a hash that is not signed":    {[]string{"Authorization", plain, "X-Sdk-Content-Sha256", sha("{}")}, now, false, nil},
		"no hash, and an outdated one": {[]string{"Authorization", plain}, now.Add(time.Hour), true, signature.ErrExpired},
	} {
		r := request(t, "POST /a", "", test.headers...)
		claim, err := signature.Parse(r)
		if err != nil {
			t.Fatal(err)
		}
		decided, err := claim.VerifyHead(r, secret, test.now)
		if decided != test.decided || !errors.Is(err, test.want) {
			t.Errorf("%s: decided %t, %v", name, decided, err)
		}
	}
}

// Everything here carries a signature that is right for what was signed, and must be refused all the same.
func TestRefused(t *testing.T) {
	t.Parallel()
	canonical := func(method, signed string, payload string, headers ...string) string {
		return authorize(signed, method+"\n/a/\n\n"+strings.Join(headers, "\n")+"\n\n"+signed+"\n"+payload)
	}
	dated := "x-sdk-date:" + date
	good := canonical("GET", "x-sdk-date", nothing, dated)
	unsigned := canonical("POST", "x-sdk-content-sha256;x-sdk-date", "UNSIGNED-PAYLOAD", "x-sdk-content-sha256:UNSIGNED-PAYLOAD", dated)
	tests := []struct {
		name, line, body string
		headers          []string
		want             error
	}{
		{"unsigned, but that is not signed", "POST /a", "x", []string{
			"Authorization", canonical("POST", "x-sdk-date", "UNSIGNED-PAYLOAD", dated), "Content-Type", "text/plain", "X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD",
		}, signature.ErrMismatch},
		{"a hash that is not the body's", "POST /a", "{}", []string{"Authorization", canonical("POST", "x-sdk-date", nothing, dated), "X-Sdk-Content-Sha256", nothing}, signature.ErrMismatch},
		{"two hashes", "POST /a", "{}", []string{
			"Authorization", canonical("POST", "x-sdk-date", sha("{}"), dated), "X-Sdk-Content-Sha256", sha("{}"), "X-Sdk-Content-Sha256", nothing,
		}, signature.ErrMismatch},
		{"no hash", "POST /a", "{}", []string{"Authorization", canonical("POST", "x-sdk-date", "", dated), "X-Sdk-Content-Sha256", ""}, signature.ErrMismatch},
		{"the date not signed", "GET /a", "", []string{"Host", "h", "Authorization", canonical("GET", "host", nothing, "host:h")}, signature.ErrMalformed},
		{"nothing signed", "GET /a", "", []string{"Authorization", canonical("GET", "", nothing)}, signature.ErrMalformed},
		{"two dates", "GET /a", "", []string{"Authorization", good, "X-Sdk-Date", "20220909T063501Z"}, signature.ErrExpired},
		{"two signatures", "GET /a", "", []string{"Authorization", good, "Authorization", good}, signature.ErrMalformed},
		{"a query that is not well escaped", "GET /a?%zz", "", []string{"Authorization", good}, signature.ErrMalformed},
		{"a parameter that handlers would not see", "GET /a?x=1;y=2", "", []string{"Authorization", good}, signature.ErrMalformed},
	}
	if err := verify(request(t, "GET /a", "", "Authorization", good), "", secret, now); err != nil {
		t.Fatal(err)
	}
	if err := verify(request(t, "POST /a", "x", "Authorization", unsigned, "Content-Type", "text/plain", "X-Sdk-Content-Sha256", "UNSIGNED-PAYLOAD"), "x", secret, now); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := verify(request(t, tt.line, tt.body, tt.headers...), tt.body, secret, now); !errors.Is(err, tt.want) {
				t.Errorf("error = %v, want %v", err, tt.want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	hexes := strings.Repeat("0f", 32)
	tests := []struct {
		name, authorization string
		want                string // the access key, or the error's text
	}{
		{"as documented", "SDK-HMAC-SHA256 Access=AK, SignedHeaders=host;x-sdk-date, Signature=" + hexes, "AK"},
		{"in another order, without blanks", "SDK-HMAC-SHA256 Signature=" + hexes + ",SignedHeaders=x-sdk-date,Access=AK", "AK"},
		{"with more blanks", "  SDK-HMAC-SHA256   Access = AK ,  SignedHeaders = X-Sdk-Date ,Signature=  " + hexes + " ", "AK"},
		{"nothing", "", "is not offered"},
		{"only the word", "SDK-HMAC-SHA256", "cannot be read"},
		{"no access key", "SDK-HMAC-SHA256 SignedHeaders=x-sdk-date, Signature=" + hexes, "cannot be read"},
		{"empty access key", "SDK-HMAC-SHA256 Access=, SignedHeaders=x-sdk-date, Signature=" + hexes, "cannot be read"},
		{"endless access key", "SDK-HMAC-SHA256 Access=" + strings.Repeat("A", 129) + ", SignedHeaders=x-sdk-date, Signature=" + hexes, "cannot be read"},
		{"two access keys", "SDK-HMAC-SHA256 Access=A, Access=B, SignedHeaders=x-sdk-date, Signature=" + hexes, "cannot be read"},
		{"short signature", "SDK-HMAC-SHA256 Access=A, SignedHeaders=x-sdk-date, Signature=0f", "cannot be read"},
		{"no hexadecimal digits", "SDK-HMAC-SHA256 Access=A, SignedHeaders=x-sdk-date, Signature=" + strings.Repeat("zz", 32), "cannot be read"},
		{"too many headers", "SDK-HMAC-SHA256 Access=A, SignedHeaders=x-sdk-date" + strings.Repeat(";a", 100) + ", Signature=" + hexes, "cannot be read"},
		{"more parts", "SDK-HMAC-SHA256 Access=A, SignedHeaders=x-sdk-date, Signature=" + hexes + ", More=1", "cannot be read"},
		{"SM3", "SDK-HMAC-SM3 Access=A, SignedHeaders=x-sdk-date, Signature=" + hexes, `"SDK-HMAC-SM3" is not offered, use SDK-HMAC-SHA256`},
		{"derived key", "V11-HMAC-SHA256 Credential=A/20220909/cn-north-4/build, SignedHeaders=x, Signature=" + hexes, `"V11-HMAC-SHA256" is not offered`},
		{"elliptic curve", "SDK-ECDSA-P256-SHA256 Access=A", `"SDK-ECDSA-P256-SHA256" is not offered`},
		{"another vendor's", "AWS4-HMAC-SHA256 Credential=A", `"AWS4-HMAC-SHA256" is not offered`},
		{"lower case", "sdk-hmac-sha256 Access=A", `"sdk-hmac-sha256" is not offered`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Header.Set("Authorization", tt.authorization)
			switch claim, err := signature.Parse(r); {
			case err != nil && !strings.Contains(err.Error(), tt.want):
				t.Errorf("error %v, want %q", err, tt.want)
			case err == nil && claim.Access != tt.want:
				t.Errorf("access key %q, want %q", claim.Access, tt.want)
			}
		})
	}
}

func TestPresent(t *testing.T) {
	t.Parallel()
	for authorization, want := range map[string]bool{
		"SDK-HMAC-SHA256 Access=A": true, "V11-HMAC-SHA256 Credential=A": true, "SDK-SM2-SM3 x": true,
		"": false, "Bearer x": false, "Basic eDp5": false, "SDK": false,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("Authorization", authorization)
		if got := signature.Present(r); got != want {
			t.Errorf("%q: %v, want %v", authorization, got, want)
		}
	}
	if signature.Present(httptest.NewRequest(http.MethodGet, "/", nil)) {
		t.Error("no header at all counts as a signature")
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/a", nil)
	signature.Sign(r, nil, key, now)
	for offset, want := range map[time.Duration]error{
		0: nil, 15 * time.Minute: nil, -15 * time.Minute: nil,
		15*time.Minute + time.Second: signature.ErrExpired, -15*time.Minute - time.Second: signature.ErrExpired, 87600 * time.Hour: signature.ErrExpired,
	} {
		if err := verify(r, "", secret, now.Add(offset)); !errors.Is(err, want) {
			t.Errorf("clock %s away: %v, want %v", offset, err, want)
		}
	}
	for _, text := range []string{"", "now", "2022-09-09T06:35:00Z", "20220909T063500", "20220909T063500.1Z", "20221309T063500Z", "Fri, 09 Sep 2022 06:35:00 GMT"} {
		r.Header.Set("X-Sdk-Date", text)
		if err := verify(r, "", secret, now); !errors.Is(err, signature.ErrExpired) {
			t.Errorf("date %q: %v", text, err)
		}
	}
	r.Header.Del("X-Sdk-Date")
	if err := verify(r, "", secret, now); !errors.Is(err, signature.ErrExpired) {
		t.Errorf("no date: %v", err)
	}
}

// What Sign makes must arrive at a real server as it was signed.
func TestSignedRequestsArrive(t *testing.T) {
	t.Parallel()
	type arrival struct {
		err    error
		signed string
		token  string
	}
	got := make(chan arrival, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- arrival{verify(r, string(body), secret, now), r.Header.Get("Authorization"), r.Header.Get("X-Security-Token")}
	}))
	defer server.Close()
	for _, tt := range []struct{ method, path, body string }{
		{"GET", "/v1/job/list?b=2&a=%20x&c=+&d", ""},
		{"POST", "/v3/jobs/build", `{"a":"é"}`},
		{"DELETE", "/v1/a%2Fb/*(c)", ""},
		{"GET", "", ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, server.URL+tt.path, strings.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Project-Id", project)
		signature.Sign(r, []byte(tt.body), signature.Key{Access: access, Secret: secret, SecurityToken: "sts"}, now.In(time.FixedZone("", 3600)))
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		a := <-got
		if a.err != nil || a.token != "sts" || !strings.Contains(a.signed, "SignedHeaders=content-type;host;x-project-id;x-sdk-date;x-security-token,") {
			t.Errorf("%s %s: %+v", tt.method, tt.path, a)
		}
	}
}
