package api_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	iammodel "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3/model"

	"atelier/internal/server/servertest"
)

// login is the body that asks for a token by a password. The scope is JSON, or empty for none.
func login(user, scope string) string {
	return asking(`"methods":["password"],"password":{"user":`+user+`}`, scope)
}

func asking(identity, scope string) string {
	if scope != "" {
		scope = `,"scope":` + scope
	}
	return `{"auth":{"identity":{` + identity + `}` + scope + `}}`
}

// byName is a user in the body of a login.
func byName(name, password string) string {
	return fmt.Sprintf(`{"name":%q,"password":%q,"domain":{"name":%q}}`, name, password, servertest.Domain)
}

const regionScope = `{"project":{"name":"` + servertest.Region + `"}}`

// getToken asks for a token, which must be given.
func getToken(t *testing.T, s *servertest.Server, body string) string {
	t.Helper()
	a := s.Send(s.Request(http.MethodPost, "/v3/auth/tokens", body))
	token := a.Header.Get("X-Subject-Token")
	if a.Status != 201 || token == "" {
		t.Fatalf("got %d %s", a.Status, a.Body)
	}
	return token
}

// tokenOf returns a token of a user's for the region.
func tokenOf(t *testing.T, s *servertest.Server, user servertest.User) string {
	t.Helper()
	return getToken(t, s, asking(keyIdentity(user), regionScope)) // hashing a password would take long
}

// keyIdentity is a user's access key in the body that asks for a token.
func keyIdentity(user servertest.User) string {
	return fmt.Sprintf(`"methods":["hw_ak_sk"],"hw_ak_sk":{"access":{"key":%q},"secret":{"key":%q}}`, user.Key.Access, user.Key.Secret)
}

// withToken sends a request with a token; about is the token that it is about, if any.
func withToken(s *servertest.Server, token, about, method, path, body string) servertest.Answer {
	r := s.Request(method, path, body)
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	if about != "" {
		r.Header.Set("X-Subject-Token", about)
	}
	return s.Send(r)
}

// opens returns the status of a build operation with a token.
func opens(s *servertest.Server, token string) int {
	return withToken(s, token, "", http.MethodGet, "/v3/"+s.Project+"/jobs", "").Status
}

func TestToken(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	dev := byName(s.Developer.Name, servertest.Password)
	user := fmt.Sprintf(`"user":{"id":%q,"name":"dev","domain":{"id":%q,"name":"acme"},"password_expires_at":""}`, s.Developer.ID, s.DomainID)
	inRegion := fmt.Sprintf(`%s,"project":{"id":%q,"name":"cn-north-4","domain":{"id":%q,"name":"acme"}},"roles":[]`, user, s.RegionID, s.DomainID)
	inDomain := fmt.Sprintf(`%s,"domain":{"id":%q,"name":"acme"},"roles":[]`, user, s.DomainID)
	endpoint := `"interface":"public","region":"cn-north-4","region_id":"cn-north-4","url":"` + s.URL()
	catalog := `,"catalog":[{"id":"1","name":"codeci","type":"codeci","endpoints":[{"id":"1",` + endpoint + `"}]},` +
		`{"id":"2","name":"iam","type":"iam","endpoints":[{"id":"2",` + endpoint + `/v3"}]}]`
	both := fmt.Sprintf(`{"project":{"id":%q,"name":"cn-north-4"},"domain":{"name":"acme"}}`, s.RegionID)
	key := keyIdentity(s.Developer)
	first := tokenOf(t, s, s.Developer)
	for _, test := range []struct{ name, query, body, method, want string }{
		{"name and domain", "", login(dev, regionScope), "password", inRegion + catalog},
		{"without the catalog", "?nocatalog=true", login(dev, regionScope), "password", inRegion},
		{"domain by id", "?nocatalog", login(fmt.Sprintf(`{"name":"dev","password":%q,"domain":{"id":%q}}`, servertest.Password, s.DomainID), regionScope), "password", inRegion},
		{"user by id", "?nocatalog", login(fmt.Sprintf(`{"id":%q,"password":%q}`, s.Developer.ID, servertest.Password), regionScope), "password", inRegion},
		{"region by id", "?nocatalog", login(dev, fmt.Sprintf(`{"project":{"id":%q}}`, s.RegionID)), "password", inRegion},
		{"region by both, beside its domain", "?nocatalog", login(dev, both), "password", inRegion},
		{"domain scope", "?nocatalog", login(dev, `{"domain":{"name":"acme"}}`), "password", inDomain},
		{"no scope", "?nocatalog", login(dev, ""), "password", inDomain},
		{"access key", "?nocatalog", asking(key, regionScope), "hw_ak_sk", inRegion},
		{"token", "?nocatalog", asking(`"methods":["token"],"token":{"id":"`+first+`"}`, regionScope), "token", inRegion},
		{"token of another scope", "?nocatalog", asking(`"methods":["token"],"token":{"id":"`+first+`"}`, ""), "token", inDomain},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := s.Send(s.Request(http.MethodPost, "/v3/auth/tokens"+test.query, test.body))
			token := a.Header.Get("X-Subject-Token")
			form := regexp.MustCompile(`^\{"token":\{"methods":\["(\w+)"\],"issued_at":"(\S{26}Z)","expires_at":"(\S{26}Z)",(.*)\}\}$`)
			parts := form.FindStringSubmatch(a.Body)
			if a.Status != 201 || parts == nil || !regexp.MustCompile(`^[A-Za-z0-9_.-]{20,200}$`).MatchString(token) {
				t.Fatalf("got %d %s", a.Status, a.Body)
			}
			if diff := gocmp.Diff(test.want, parts[4]); diff != "" || parts[1] != test.method {
				t.Errorf("by %s, -want +got:\n%s", parts[1], diff)
			}
			issued, expires := parseSix(t, parts[2]), parseSix(t, parts[3])
			if life := expires.Sub(issued); life > 24*time.Hour || life < 23*time.Hour || (life < 24*time.Hour) != (test.method == "token") {
				t.Errorf("the token lives %s", life)
			}
			for _, header := range []string{"X-Request-Id", "X-Iam-Trace-Id"} {
				if len(a.Header.Get(header)) != 32 {
					t.Errorf("%s is %q", header, a.Header.Get(header))
				}
			}
			want := 200
			if strings.Contains(test.want, `},"domain":`) {
				want = 401
			}
			if got := opens(s, token); got != want {
				t.Errorf("with the token a build operation answers %d", got)
			}
			shown := withToken(s, token, token, http.MethodGet, "/v3/auth/tokens"+test.query, "")
			if shown.Status != 200 || shown.Body != a.Body || shown.Header.Get("X-Subject-Token") != token {
				t.Errorf("looked up: %d %s", shown.Status, shown.Body)
			}
		})
	}

	// The official client asks for a token in the first form, and what a token opens.
	c := iamClient(t, s, s.Developer)
	official := ok(t, c.KeystoneCreateUserTokenByPassword, &iammodel.KeystoneCreateUserTokenByPasswordRequest{Body: &iammodel.KeystoneCreateUserTokenByPasswordRequestBody{
		Auth: &iammodel.PwdAuth{
			Identity: &iammodel.PwdIdentity{
				Methods: []iammodel.PwdIdentityMethods{iammodel.GetPwdIdentityMethodsEnum().PASSWORD},
				Password: &iammodel.PwdPassword{User: &iammodel.PwdPasswordUser{
					Domain: &iammodel.PwdPasswordUserDomain{Name: servertest.Domain}, Name: s.Developer.Name, Password: servertest.Password,
				}},
			},
			Scope: &iammodel.AuthScope{Project: &iammodel.AuthScopeProject{Name: new(servertest.Region)}},
		},
	}})
	if o := official.Token; o.Project.Id != s.RegionID || o.User.Id != s.Developer.ID || o.Catalog[0].Endpoints[0].Url != s.URL() || opens(s, *official.XSubjectToken) != 200 {
		t.Errorf("the official client got %v", official)
	}
	validated := ok(t, c.KeystoneValidateToken, &iammodel.KeystoneValidateTokenRequest{XSubjectToken: *official.XSubjectToken})
	if diff := gocmp.Diff(official.Token, validated.Token); diff != "" {
		t.Errorf("validated:\n%s", diff)
	}

	// A token can also come in the header; one of the whole domain does not open builds.
	r := s.Request(http.MethodPost, "/v3/auth/tokens", asking(`"methods":["token"]`, `{"domain":{"id":"`+s.DomainID+`"}}`))
	r.Header.Set("X-Auth-Token", first)
	global := s.Send(r).Header.Get("X-Subject-Token")
	for _, path := range []string{"/v3/" + s.Project + "/jobs", "/v1/job/list"} {
		checkProblem(t, s, withToken(s, global, "", http.MethodGet, path, ""), 401, "APIGW.0301", "Incorrect IAM authentication information: the token is not scoped to a project")
	}
	if a := withToken(s, global, "", http.MethodGet, "/v3/auth/domains", ""); a.Status != 200 {
		t.Errorf("the domain's token does not open the identity service: %d %s", a.Status, a.Body)
	}
	admin := withToken(s, tokenOf(t, s, s.Admin), first, http.MethodGet, "/v3/auth/tokens?nocatalog", "")
	if !strings.Contains(admin.Body, inRegion) {
		t.Errorf("the administrator looked up %d %s", admin.Status, admin.Body)
	}
}

// parseSix reads a time of the identity service, which has exactly six digits of a second.
func parseSix(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02T15:04:05.000000Z", s)
	if err != nil {
		t.Error(err)
	}
	return at
}

// TestTokenRefused checks that a request that is not complete is told so, and that all others get one and the same answer.
func TestTokenRefused(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	disabled := s.NewUser("disabled")
	if err := s.IAM().SetUserEnabled(t.Context(), disabled.ID, false); err != nil {
		t.Fatal(err)
	}
	dev := byName("dev", servertest.Password)
	for _, test := range []struct {
		name, body string
		words      string // of a 400; empty for the 401
	}{
		{"no JSON", `auth`, "body: is not JSON"},
		{"nothing", ``, "body: is empty"},
		{"no methods", `{}`, "auth.identity.methods: must have one method, found 0"},
		{"two methods", asking(`"methods":["password","totp"]`, ""), "auth.identity.methods: must have one method, found 2"},
		{"unknown method", asking(`"methods":["assume_role"]`, ""), `auth.identity.methods: must be one of password, hw_ak_sk, token, found "assume_role"`},
		{"no user", asking(`"methods":["password"]`, ""), "auth.identity.password.user.name: is missing"},
		{"no domain", login(`{"name":"dev","password":"x"}`, ""), "auth.identity.password.user.domain: is missing"},
		{"no password", login(`{"name":"dev","domain":{"name":"acme"}}`, ""), "auth.identity.password.user.password: is missing"},
		{"no secret", asking(`"methods":["hw_ak_sk"],"hw_ak_sk":{"access":{"key":"A"}}`, ""), "auth.identity.hw_ak_sk.secret.key: is missing"},
		{"no token", asking(`"methods":["token"]`, ""), "auth.identity.token.id: is missing"},
		{"empty scope", login(dev, `{"project":{}}`), "auth.scope.project: must have an id or a name"},
		{"number for a name", login(`{"name":5}`, ""), "auth.identity.password.user.name: must be a text, found number"},

		{"wrong password", login(byName("dev", "wrong horse"), regionScope), ""},
		{"no such user", login(byName("nobody", servertest.Password), regionScope), ""},
		{"no such domain", login(`{"name":"dev","password":"`+servertest.Password+`","domain":{"name":"other"}}`, regionScope), ""},
		{"disabled user", login(byName("disabled", servertest.Password), regionScope), ""},
		{"no such region", login(dev, `{"project":{"name":"cn-south-1"}}`), ""},
		{"a project of builds", login(dev, `{"project":{"id":"`+s.Project+`"}}`), ""},
		{"id and name that disagree", login(dev, `{"project":{"id":"`+s.RegionID+`","name":"cn-south-1"}}`), ""},
		{"another domain", login(dev, `{"domain":{"name":"other"}}`), ""},
		{"wrong secret", asking(`"methods":["hw_ak_sk"],"hw_ak_sk":{"access":{"key":"`+s.Admin.Key.Access+`"},"secret":{"key":"x"}}`, regionScope), ""},
		{"no such key", asking(`"methods":["hw_ak_sk"],"hw_ak_sk":{"access":{"key":"NOBODY"},"secret":{"key":"x"}}`, regionScope), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := s.Send(s.Request(http.MethodPost, "/v3/auth/tokens", test.body))
			if test.words == "" {
				if want := `{"error":{"code":401,"message":"The username or password is wrong.","title":"Unauthorized"}}`; a.Status != 401 || a.Body != want {
					t.Errorf("got %d %s", a.Status, a.Body)
				}
			} else {
				checkIdentityError(t, a, 400, "Bad Request", "The request body is invalid: "+test.words)
			}
			checkNoLeak(t, s, a.Body)
			if a.Header.Get("X-Subject-Token") != "" || len(a.Header.Get("X-Request-Id")) != 32 {
				t.Errorf("the headers are %v", a.Header)
			}
		})
	}
}

// checkIdentityError checks an error in the form of the identity service, whose code is a number.
func checkIdentityError(t *testing.T, a servertest.Answer, status int, title, words string) {
	t.Helper()
	type detail struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
		Title   string `json:"title"`
	}
	e := decoded[struct {
		Error detail `json:"error"`
	}](t, a.Body).Error
	if a.Status != status || e.Code != status || e.Title != title || !strings.Contains(e.Message, words) {
		t.Errorf("want %d %q, got %d %s", status, words, a.Status, a.Body)
	}
}

// TestTokenEnds looks at tokens that are not good any more, and at those that are nobody's business.
func TestTokenEnds(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	const path = "/v3/auth/tokens"
	dev, admin := tokenOf(t, s, s.Developer), tokenOf(t, s, s.Admin)

	const gone = "The token does not exist or has expired."
	checkIdentityError(t, withToken(s, dev, admin, http.MethodGet, path, ""), 404, "Not Found", gone) // another's
	checkIdentityError(t, withToken(s, dev, "nonsense", http.MethodGet, path, ""), 404, "Not Found", gone)
	checkIdentityError(t, withToken(s, dev, "", http.MethodGet, path, ""), 400, "Bad Request", "X-Subject-Token is missing")
	checkIdentityError(t, withToken(s, "", dev, http.MethodGet, path, ""), 401, "Unauthorized", "x-auth-token not found")
	checkIdentityError(t, withToken(s, "nonsense", dev, http.MethodGet, path, ""), 401, "Unauthorized", "decrypt token fail")
	for about, want := range map[string]int{dev: 200, admin: 404, "nonsense": 404} {
		if a := withToken(s, dev, about, http.MethodHead, path, ""); a.Status != want || a.Body != "" || (want == 200) != (a.Header.Get("X-Subject-Token") == about) {
			t.Errorf("HEAD: %d %q %v", a.Status, a.Body, a.Header)
		}
	}
	checkIdentityError(t, withToken(s, dev, admin, http.MethodDelete, path, ""), 404, "Not Found", gone)
	if opens(s, admin) != 200 {
		t.Error("a stranger revoked the administrator's token")
	}

	// Revoked: no operation takes it any more, and it does not exist.
	second := tokenOf(t, s, s.Developer)
	if a := withToken(s, dev, dev, http.MethodDelete, path, ""); a.Status != 204 || a.Body != "" {
		t.Errorf("revoked: %d %s", a.Status, a.Body)
	}
	checkProblem(t, s, withToken(s, dev, "", http.MethodGet, "/v1/job/list", ""), 401, "APIGW.0301", "Incorrect IAM authentication information: decrypt token fail")
	checkIdentityError(t, withToken(s, dev, dev, http.MethodGet, path, ""), 401, "Unauthorized", "decrypt token fail")
	checkIdentityError(t, withToken(s, second, dev, http.MethodDelete, path, ""), 404, "Not Found", gone)
	if opens(s, second) != 200 {
		t.Error("another token of the same user ended too")
	}
	if a := withToken(s, admin, second, http.MethodDelete, path, ""); a.Status != 204 || opens(s, second) != 401 {
		t.Errorf("the administrator revoked: %d %s", a.Status, a.Body)
	}

	// What a token stands on has changed.
	third := tokenOf(t, s, s.Developer)
	if err := s.IAM().SetPassword(t.Context(), s.Developer.ID, "another long password"); err != nil {
		t.Fatal(err)
	}
	checkProblem(t, s, withToken(s, third, "", http.MethodGet, "/v1/job/list", ""), 401, "APIGW.0307", "The token must be updated.")
	s.Developer.Name = "dev"
	fourth := getToken(t, s, login(byName("dev", "another long password"), regionScope))
	if err := s.IAM().SetUserEnabled(t.Context(), s.Developer.ID, false); err != nil {
		t.Fatal(err)
	}
	if got := opens(s, fourth); got != 401 && got != 403 {
		t.Errorf("a disabled user's token answers %d", got)
	}
	checkProblem(t, s, s.Call(s.Developer, http.MethodGet, "/v1/job/list", ""), 403, "APIGW.0302", "The IAM user is not authorized to access the API.")
}
