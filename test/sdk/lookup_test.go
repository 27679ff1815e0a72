package sdk_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/global"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/config"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/httphandler"
	sdkregion "github.com/huaweicloud/huaweicloud-sdk-go-v3/core/region"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/sdkerr"
	codeartsbuild "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/region"

	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// recorder notes the headers of the requests that a client of the SDK sends.
type recorder struct {
	mu      sync.Mutex
	headers []http.Header
}

func (r *recorder) note(request http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.headers = append(r.headers, request.Header.Clone())
}

func (r *recorder) last() http.Header {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.headers[len(r.headers)-1]
}

// connect makes a client. The recorder sees its requests for builds; those with which it finds its way it does not show.
func connect(t *testing.T, how *core.HcHttpClientBuilder, who *basic.Credentials) (*codeartsbuild.CodeArtsBuildClient, *recorder, error) {
	t.Helper()
	r := &recorder{}
	h := config.DefaultHttpConfig().WithTimeout(time.Minute).WithHttpHandler(httphandler.NewHttpHandler().AddRequestHandler(r.note))
	hc, err := how.WithCredential(who).WithHttpConfig(h).SafeBuild()
	if err != nil {
		return nil, r, err
	}
	return codeartsbuild.NewCodeArtsBuildClient(hc), r, nil
}

func at(s *servertest.Server) *core.HcHttpClientBuilder {
	return codeartsbuild.CodeArtsBuildClientBuilder().WithEndpoint(s.URL())
}

func in(id string, s *servertest.Server) *core.HcHttpClientBuilder {
	return codeartsbuild.CodeArtsBuildClientBuilder().WithRegion(sdkregion.NewRegion(id, s.URL()))
}

func credentials(t *testing.T, user servertest.User, change func(*basic.CredentialsBuilder)) *basic.Credentials {
	t.Helper()
	b := basic.NewCredentialsBuilder().WithAk(user.Key.Access).WithSk(user.Key.Secret)
	if change != nil {
		change(b)
	}
	who, err := b.SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	return who
}

// TestRegionByName checks that a variable of the environment makes any region known to the SDK. It knows others by itself only.
func TestRegionByName(t *testing.T) { // not parallel: it sets variables
	if _, err := region.SafeValueOf("lab-north-1"); err == nil {
		t.Fatal("the SDK knows the region lab-north-1, so this test shows nothing")
	}
	s := servertest.Start(t, func(c *server.Config) { c.Region = "lab-north-1" })
	t.Setenv("HUAWEICLOUD_SDK_REGION_CODEARTSBUILD_LAB_NORTH_1", s.URL())
	where, err := region.SafeValueOf("lab-north-1")
	if err != nil {
		t.Fatal(err)
	}
	who := credentials(t, s.Developer, func(b *basic.CredentialsBuilder) { b.WithIamEndpointOverride(s.URL()) })
	client, r, err := connect(t, codeartsbuild.CodeArtsBuildClientBuilder().WithRegion(where), who)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.ShowJobListByProjectId(listOf(s)); err != nil {
		t.Error(err)
	}
	if got := r.last().Get("X-Project-Id"); got != s.RegionID {
		t.Errorf("X-Project-Id is %q, want %q", got, s.RegionID)
	}
}

func listOf(s *servertest.Server) *model.ShowJobListByProjectIdRequest {
	return &model.ShowJobListByProjectIdRequest{ProjectId: s.Project, PageSize: 10}
}

// TestProjectLookup checks what the SDK asks the identity service when it was given no project id.
func TestProjectLookup(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	iamHere := func(b *basic.CredentialsBuilder) { b.WithIamEndpointOverride(s.URL()) }

	client, r, err := connect(t, in(servertest.Region, s), credentials(t, s.Developer, iamHere))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.ShowJobListByProjectId(listOf(s)); err != nil {
		t.Error(err)
	}
	if got := r.last().Get("X-Project-Id"); got != s.RegionID {
		t.Errorf("X-Project-Id is %q, want %q", got, s.RegionID)
	}

	// A user without any role in a project of builds finds its own region all the same.
	outsider := s.NewUser("outsider")
	client, _, err = connect(t, in(servertest.Region, s), credentials(t, outsider, iamHere))
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.ShowRecordInfo(&model.ShowRecordInfoRequest{JobId: strings.Repeat("0", 32), BuildNo: 1})
	wantRefusal(t, err, http.StatusNotFound, "CB.00031006")

	// A region that is not this server's has no project, and a wrong key no answer. What the SDK says then names the trace.
	_, _, err = connect(t, in("cn-south-1", s), credentials(t, s.Developer, iamHere))
	wantLookupError(t, err, "failed to get project id of region 'cn-south-1' automatically, X-IAM-Trace-Id=")
	wrong := s.Developer
	wrong.Key.Secret = "wrong"
	wrong.Key.Access = s.Admin.Key.Access // the SDK keeps what it has found by the access key
	_, _, err = connect(t, in(servertest.Region, s), credentials(t, wrong, iamHere))
	wantLookupError(t, err, "verify aksk signature fail")
	wantLookupError(t, err, "X-IAM-Trace-Id=")
}

func wantLookupError(t *testing.T, err error, words string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("want an error that says %q, got %v", words, err)
	}
}

// TestDomainLookup checks what the SDK asks for credentials of a whole domain. Clients for builds do not take such credentials.
func TestDomainLookup(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	who, err := global.NewCredentialsBuilder().WithAk(s.Developer.Key.Access).WithSk(s.Developer.Key.Secret).WithIamEndpointOverride(s.URL()).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	_, err = core.NewHcHttpClientBuilder().WithCredentialsType("global.Credentials").
		WithRegion(sdkregion.NewRegion(servertest.Region, s.URL())).WithCredential(who).SafeBuild()
	if err != nil {
		t.Fatal(err)
	}
	if who.DomainId != s.DomainID {
		t.Errorf("the SDK found the domain %q, want %q", who.DomainId, s.DomainID)
	}
	if _, err := at(s).WithCredential(who).SafeBuild(); err == nil {
		t.Error("a client for builds took the credentials of a domain")
	}
}

// TestProjectID checks what comes of a project id in the SDK's credentials: that of a region of the user's, and nothing else.
func TestProjectID(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	for _, tt := range []struct {
		name, id string
		refused  bool
	}{
		{"the user's region", s.RegionID, false},
		{"none", "", false},
		{"a project of builds", s.Project, true},
		{"one that is not there", strings.Repeat("0", 32), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client, r, err := connect(t, at(s), credentials(t, s.Developer, func(b *basic.CredentialsBuilder) { b.WithProjectId(tt.id) }))
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.ShowJobListByProjectId(listOf(s))
			if got := r.last().Get("X-Project-Id"); got != tt.id {
				t.Errorf("X-Project-Id is %q, want %q", got, tt.id)
			}
			if tt.refused {
				wantRefusal(t, err, http.StatusForbidden, "APIGW.0302")
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTemporaryKey checks keys that end by themselves, with which the SDK sends a security token.
func TestTemporaryKey(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	made := s.Call(s.Developer, "POST", "/v3.0/OS-CREDENTIAL/securitytokens", `{"auth":{"identity":{"methods":["token"],"token":{"duration_seconds":900}}}}`)
	var answer struct {
		Credential struct{ Access, Secret, SecurityToken string }
	}
	if err := json.Unmarshal([]byte(made.Body), &answer); err != nil || made.Status != http.StatusCreated {
		t.Fatalf("%d %s: %v", made.Status, made.Body, err)
	}
	temporary := s.Developer
	temporary.Key.Access, temporary.Key.Secret = answer.Credential.Access, answer.Credential.Secret
	for _, tt := range []struct {
		name  string
		user  servertest.User
		token string
		ok    bool
	}{
		{"with its token", temporary, answer.Credential.SecurityToken, true},
		{"without a token", temporary, "", false},
		{"with another token", temporary, answer.Credential.SecurityToken + "x", false},
		{"a permanent key with a token", s.Developer, answer.Credential.SecurityToken, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			who := credentials(t, tt.user, func(b *basic.CredentialsBuilder) { b.WithSecurityToken(tt.token).WithIamEndpointOverride(s.URL()) })
			client, r, err := connect(t, at(s), who)
			if err != nil {
				t.Fatal(err)
			}
			_, err = client.ShowJobListByProjectId(listOf(s))
			if got := r.last().Get("X-Security-Token"); got != tt.token {
				t.Errorf("X-Security-Token is %q, want %q", got, tt.token)
			}
			if !tt.ok {
				wantRefusal(t, err, http.StatusUnauthorized, "APIGW.0301", "Incorrect IAM authentication information")
			} else if err != nil {
				t.Error(err)
			}
		})
	}

	// The project's id is found with a temporary key as well.
	who := credentials(t, temporary, func(b *basic.CredentialsBuilder) {
		b.WithSecurityToken(answer.Credential.SecurityToken).WithIamEndpointOverride(s.URL())
	})
	if _, _, err := connect(t, in(servertest.Region, s), who); err != nil {
		t.Fatal(err)
	}
	if who.ProjectId != s.RegionID {
		t.Errorf("the SDK found the project %q, want %q", who.ProjectId, s.RegionID)
	}
}

// TestSpelling checks that the SDK's name in the User-Agent alone decides how a record is spelled.
func TestSpelling(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	b := makeBuild(t, s, "true")
	client, r, err := connect(t, at(s), credentials(t, s.Developer, nil))
	if err != nil {
		t.Fatal(err)
	}
	record, err := client.ShowRecordInfo(b.request())
	if err != nil {
		t.Fatal(err)
	}
	if record.HttpStatusCode != http.StatusOK || record.Result.BuildNo == nil || *record.Result.RepoId != "568398" {
		t.Errorf("the record is not filled: %v", record)
	}
	if agent := r.last().Get("User-Agent"); !strings.HasPrefix(agent, "huaweicloud-usdk-go/3.0") {
		t.Errorf("the SDK sends the User-Agent %q", agent)
	}
	_, err = client.ShowRecordInfo(&model.ShowRecordInfoRequest{JobId: b.job, BuildNo: 99})
	wantRefusal(t, err, http.StatusNotFound, "CB.00031006", "99")
	if e, ok := errors.AsType[*sdkerr.ServiceResponseError](err); ok && len(e.RequestId) != 32 {
		t.Errorf("the request id is %q", e.RequestId)
	}
}
