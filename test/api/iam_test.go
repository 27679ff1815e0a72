package api_test

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/config"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/region"
	codeartsbuild "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"
	iamsdk "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3"
	iammodel "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/iam/v3/model"

	"atelier/internal/iam/signature"
	"atelier/internal/server/servertest"
)

// TestIdentity makes the other calls to the identity service.
func TestIdentity(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	t.Run("look-ups", func(t *testing.T) { testLookUps(t, s) })
	t.Run("access keys", func(t *testing.T) { testAccessKeys(t, s) })
	t.Run("temporary keys", func(t *testing.T) { testTemporaryKeys(t, s) })
}

// testLookUps makes the calls by which clients find their project and their domain, as the official clients do.
func testLookUps(t *testing.T, s *servertest.Server) {
	c := iamClient(t, s, s.Developer)
	project := iammodel.ProjectResult{
		Links:   &iammodel.Links{Self: s.URL() + "/v3/projects/" + s.RegionID},
		Enabled: true, Id: s.RegionID, ParentId: s.DomainID, DomainId: s.DomainID, Name: servertest.Region,
	}
	for name, projects := range map[string]*[]iammodel.ProjectResult{
		"by name":       ok(t, c.KeystoneListProjects, &iammodel.KeystoneListProjectsRequest{Name: new(servertest.Region)}).Projects,
		"all":           ok(t, c.KeystoneListProjects, &iammodel.KeystoneListProjectsRequest{}).Projects,
		"of the domain": ok(t, c.KeystoneListProjects, &iammodel.KeystoneListProjectsRequest{DomainId: &s.DomainID, Enabled: new(true), ParentId: &s.DomainID}).Projects,
		"first page":    ok(t, c.KeystoneListProjects, &iammodel.KeystoneListProjectsRequest{Page: new(int32(1)), PerPage: new(int32(10))}).Projects,
		"of the user":   ok(t, c.KeystoneListProjectsForUser, &iammodel.KeystoneListProjectsForUserRequest{UserId: s.Developer.ID}).Projects,
		"itself":        {*ok(t, c.KeystoneShowProject, &iammodel.KeystoneShowProjectRequest{ProjectId: s.RegionID}).Project},
	} {
		if diff := gocmp.Diff([]iammodel.ProjectResult{project}, *projects); diff != "" {
			t.Errorf("%s, -want +got:\n%s", name, diff)
		}
	}
	own := *ok(t, c.KeystoneListAuthProjects, &iammodel.KeystoneListAuthProjectsRequest{}).Projects
	if diff := gocmp.Diff([]iammodel.AuthProjectResult{{
		Links: &iammodel.LinksSelf{Self: project.Links.Self}, Enabled: true, Id: s.RegionID, ParentId: s.DomainID, DomainId: s.DomainID, Name: servertest.Region,
	}}, own); diff != "" {
		t.Errorf("the caller's, -want +got:\n%s", diff)
	}
	for name, query := range map[string]string{
		"another name": "name=cn-south-1", "another domain": "domain_id=" + s.RegionID, "another parent": "parent_id=x",
		"disabled ones": "enabled=false", "second page": "page=2&per_page=10",
	} {
		want := `{"links":{"self":"` + s.URL() + `/v3/projects?` + query + `","previous":null,"next":null},"projects":[]}`
		if a := s.Call(s.Developer, http.MethodGet, "/v3/projects?"+query, ""); a.Status != 200 || a.Body != want {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
	domains := *ok(t, c.KeystoneListAuthDomains, &iammodel.KeystoneListAuthDomainsRequest{}).Domains
	want := []iammodel.Domains{{Enabled: true, Id: s.DomainID, Name: servertest.Domain, Links: &iammodel.LinksSelf{Self: s.URL() + "/v3/domains/" + s.DomainID}}}
	if diff := gocmp.Diff(want, domains); diff != "" {
		t.Errorf("domains, -want +got:\n%s", diff)
	}
	checkIdentityError(t, s.Call(s.Developer, http.MethodGet, "/v3/projects/"+s.Project, ""), 404, "Not Found", "the project does not exist")
	checkIdentityError(t, s.Call(s.Developer, http.MethodGet, "/v3/users/"+s.Admin.ID+"/projects", ""), 403, "Forbidden", "You are not authorized to perform the requested action.")
	checkIdentityError(t, s.Call(s.Developer, http.MethodGet, "/v3/users/nobody/projects", ""), 403, "Forbidden", "You are not authorized")
	if a := s.Call(s.Admin, http.MethodGet, "/v3/users/"+s.Developer.ID+"/projects", ""); a.Status != 200 || !strings.Contains(a.Body, s.RegionID) {
		t.Errorf("the administrator asks for a user's: %d %s", a.Status, a.Body)
	}
	checkIdentityError(t, s.Call(s.Admin, http.MethodGet, "/v3/users/nobody/projects", ""), 404, "Not Found", "the user does not exist")
	checkIdentityError(t, s.Call(s.Developer, http.MethodGet, "/v3/projects?page=0", ""), 400, "Bad Request", "page: must be a whole number from 1")

	// A client that was given no project id finds it by itself.
	auth, err := basic.NewCredentialsBuilder().WithAk(s.Developer.Key.Access).WithSk(s.Developer.Key.Secret).WithIamEndpointOverride(s.URL()).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	http, err := codeartsbuild.CodeArtsBuildClientBuilder().WithRegion(region.NewRegion(servertest.Region, s.URL())).WithCredential(auth).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	ok(t, codeartsbuild.NewCodeArtsBuildClient(http).ShowJobListByProjectId, &model.ShowJobListByProjectIdRequest{ProjectId: s.Project})
}

// iamClient returns the official client of the identity service.
func iamClient(t *testing.T, s *servertest.Server, user servertest.User) *iamsdk.IamClient {
	t.Helper()
	auth, err := basic.NewCredentialsBuilder().WithAk(user.Key.Access).WithSk(user.Key.Secret).WithProjectId(s.RegionID).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	http, err := iamsdk.IamClientBuilder().WithEndpoint(s.URL()).WithCredential(auth).WithHttpConfig(config.DefaultHttpConfig().WithTimeout(time.Minute)).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	return iamsdk.NewIamClient(http)
}

// testAccessKeys follows a permanent key through its life.
func testAccessKeys(t *testing.T, s *servertest.Server) {
	c := iamClient(t, s, s.Developer)
	made := ok(t, c.CreatePermanentAccessKey, &iammodel.CreatePermanentAccessKeyRequest{Body: &iammodel.CreatePermanentAccessKeyRequestBody{
		Credential: &iammodel.CreateCredentialOption{UserId: s.Developer.ID, Description: new("for <CI>")},
	}})
	k := made.Credential
	if made.HttpStatusCode != 201 || k.UserId != s.Developer.ID || k.Status != "active" || k.Description != "for <CI>" || len(k.Secret) < 30 {
		t.Fatalf("made: %v", made)
	}
	parseSix(t, k.CreateTime)
	user := servertest.User{Key: signature.Key{Access: k.Access, Secret: k.Secret}}
	status := func() int { return s.Call(user, http.MethodGet, "/v1/job/list", "").Status }
	if got := status(); got != 200 {
		t.Errorf("the new key opens with %d", got)
	}
	const keys = "/v3.0/OS-CREDENTIAL/credentials"
	listed := *ok(t, c.ListPermanentAccessKeys, &iammodel.ListPermanentAccessKeysRequest{}).Credentials
	if len(listed) != 2 || listed[1] != (iammodel.Credentials{UserId: k.UserId, Access: k.Access, Status: "active", CreateTime: k.CreateTime, Description: "for <CI>"}) {
		t.Errorf("listed: %v", listed)
	}
	for _, path := range []string{keys, keys + "?user_id=" + s.Developer.ID, keys + "/" + k.Access} {
		a := s.Call(s.Developer, http.MethodGet, path, "")
		if a.Status != 200 || !strings.Contains(a.Body, k.Access) || strings.Contains(a.Body, `"secret"`) || strings.Contains(a.Body, k.Secret) {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	shown := ok(t, c.ShowPermanentAccessKey, &iammodel.ShowPermanentAccessKeyRequest{AccessKey: k.Access}).Credential
	if *shown != (iammodel.ShowCredential{UserId: k.UserId, Access: k.Access, Status: "active", CreateTime: k.CreateTime, Description: "for <CI>"}) {
		t.Errorf("shown: %v", shown)
	}
	inactive := iammodel.GetUpdateCredentialOptionStatusEnum().INACTIVE
	switched := ok(t, c.UpdatePermanentAccessKey, &iammodel.UpdatePermanentAccessKeyRequest{AccessKey: k.Access, Body: &iammodel.UpdatePermanentAccessKeyRequestBody{
		Credential: &iammodel.UpdateCredentialOption{Status: &inactive},
	}}).Credential
	if switched.Status != "inactive" || status() != 401 {
		t.Errorf("switched off: %v", switched)
	}
	change := func(word string) servertest.Answer {
		return s.Call(s.Developer, http.MethodPut, keys+"/"+k.Access, fmt.Sprintf(`{"credential":{"status":%q}}`, word))
	}
	if a := change("active"); a.Status != 200 || status() != 200 {
		t.Errorf("switched on: %d %s", a.Status, a.Body)
	}
	create := func(who string) servertest.Answer {
		return s.Call(s.Developer, http.MethodPost, keys, fmt.Sprintf(`{"credential":{"user_id":%q}}`, who))
	}
	for name, test := range map[string]struct {
		a      servertest.Answer
		status int
		code   string
		words  string
	}{
		"status":        {change("off"), 400, "IAM.0011", `credential.status: must be active or inactive, found "off"`},
		"a third key":   {create(s.Developer.ID), 400, "IAM.0011", "the user has 2 access keys, no more than 2 are allowed"},
		"for another":   {create(s.Admin.ID), 403, "IAM.0002", "You are not authorized"},
		"for nobody":    {create(""), 403, "IAM.0002", "You are not authorized"},
		"of another":    {s.Call(s.Developer, http.MethodGet, keys+"/"+s.Admin.Key.Access, ""), 404, "IAM.0004", "the access key does not exist"},
		"of nobody":     {s.Call(s.Developer, http.MethodGet, keys+"/NOBODY", ""), 404, "IAM.0004", "the access key does not exist"},
		"list of other": {s.Call(s.Developer, http.MethodGet, keys+"?user_id="+s.Admin.ID, ""), 403, "IAM.0002", "You are not authorized"},
		"no proof":      {s.Send(s.Request(http.MethodGet, keys, "")), 401, "IAM.0001", "x-auth-token not found"},
		"no JSON":       {s.Call(s.Developer, http.MethodPost, keys, "x"), 400, "IAM.0011", "body: is not JSON"},
	} {
		e := decoded[problem](t, test.a.Body)
		if test.a.Status != test.status || e.Code != test.code || !strings.Contains(e.Message, test.words) {
			t.Errorf("%s: %d %s", name, test.a.Status, test.a.Body)
		}
		checkNoLeak(t, s, test.a.Body)
	}
	if gone := ok(t, c.DeletePermanentAccessKey, &iammodel.DeletePermanentAccessKeyRequest{AccessKey: k.Access}); gone.HttpStatusCode != 204 || status() != 401 {
		t.Errorf("deleted: %v", gone)
	}
	if a := s.Call(s.Developer, http.MethodDelete, keys+"/"+k.Access, ""); a.Status != 404 {
		t.Errorf("deleted twice: %d %s", a.Status, a.Body)
	}
}

// testTemporaryKeys gets temporary keys by a token in each place, and uses them.
func testTemporaryKeys(t *testing.T, s *servertest.Server) {
	const path = "/v3.0/OS-CREDENTIAL/securitytokens"
	token := tokenOf(t, s, s.Developer)
	body := func(id, seconds string) string {
		return asking(`"methods":["token"],"token":{"id":"`+id+`","duration_seconds":`+cmp.Or(seconds, "900")+`}`, "")
	}
	for name, a := range map[string]servertest.Answer{
		"in the body":   withToken(s, "", "", http.MethodPost, path, body(token, "")),
		"in the header": withToken(s, token, "", http.MethodPost, path, asking(`"methods":["token"]`, "")),
		"signed":        s.Call(s.Developer, http.MethodPost, path, body("", "3600")),
	} {
		k := decoded[iammodel.CreateTemporaryAccessKeyByTokenResponse](t, a.Body).Credential
		if a.Status != 201 || k == nil {
			t.Fatalf("%s: %d %s", name, a.Status, a.Body)
		}
		want := 15 * time.Minute
		if name == "signed" {
			want = time.Hour
		}
		if left := time.Until(parseSix(t, k.ExpiresAt)); left > want || left < want-time.Minute {
			t.Errorf("%s: the key lives %s", name, left)
		}
		call := func(securityToken string) servertest.Answer {
			r := s.Request(http.MethodGet, "/v1/job/list", "")
			signature.Sign(r, nil, signature.Key{Access: k.Access, Secret: k.Secret, SecurityToken: securityToken}, time.Now())
			return s.Send(r)
		}
		if got := call(k.Securitytoken); got.Status != 200 {
			t.Errorf("%s: with the key: %d %s", name, got.Status, got.Body)
		}
		checkProblem(t, s, call(""), 401, "APIGW.0301", "verify aksk signature fail")
		checkProblem(t, s, call(k.Securitytoken+"x"), 401, "APIGW.0301", "verify aksk signature fail")
	}
	permanent := s.Request(http.MethodGet, "/v1/job/list", "")
	signature.Sign(permanent, nil, signature.Key{Access: s.Admin.Key.Access, Secret: s.Admin.Key.Secret, SecurityToken: "x"}, time.Now())
	checkProblem(t, s, s.Send(permanent), 401, "APIGW.0301", "verify aksk signature fail")

	official := ok(t, iamClient(t, s, s.Developer).CreateTemporaryAccessKeyByToken, &iammodel.CreateTemporaryAccessKeyByTokenRequest{
		Body: &iammodel.CreateTemporaryAccessKeyByTokenRequestBody{Auth: &iammodel.TokenAuth{Identity: &iammodel.TokenAuthIdentity{
			Methods: []iammodel.TokenAuthIdentityMethods{iammodel.GetTokenAuthIdentityMethodsEnum().TOKEN}, Token: &iammodel.IdentityToken{Id: &token},
		}}},
	}).Credential
	if official.Access == "" || official.Secret == "" || official.Securitytoken == "" {
		t.Errorf("the official client got %v", official)
	}

	for name, test := range map[string]struct {
		body   string
		status int
		words  string
	}{
		"short":     {body(token, "899"), 400, "900"},
		"long":      {body(token, "86401"), 400, "86400"},
		"very long": {body(token, "9223372036854775807"), 400, "86400"},
		"negative":  {body(token, "-1"), 400, "900"},
		"a text":    {body(token, `"900"`), 400, "auth.identity.token.duration_seconds: must be a number"},
		"methods":   {asking(`"methods":["password"]`, ""), 400, `must be ["token"]`},
		"bad token": {body("x", ""), 401, "decrypt token fail"},
		"no token":  {body("", ""), 401, "x-auth-token not found"},
	} {
		a := withToken(s, "", "", http.MethodPost, path, test.body)
		if e := decoded[problem](t, a.Body); a.Status != test.status || !strings.HasPrefix(e.Code, "IAM.") || !strings.Contains(e.Message, test.words) {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
	}
}
