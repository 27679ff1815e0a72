package httpapi

import (
	"net/http"
	"time"

	"atelier/internal/fault"
	"atelier/internal/iam"
)

func (a *API) iamOperations() []operation {
	return []operation{
		open(identity("KeystoneCreateUserTokenByPassword", "POST /v3/auth/tokens", "Get a token.", a.createToken)),
		identity("KeystoneValidateToken", "GET /v3/auth/tokens", "What does a token open?", a.showToken),
		identity("KeystoneCheckToken", "HEAD /v3/auth/tokens", "Does a token open anything?", a.showToken),
		identity("KeystoneRevokeToken", "DELETE /v3/auth/tokens", "End a token.", a.revokeToken),
		identity("KeystoneListProjects", "GET /v3/projects", "Regions that the caller may act in.", a.listRegions),
		identity("KeystoneListAuthProjects", "GET /v3/auth/projects", "Regions that the caller may act in.", a.listRegions),
		identity("KeystoneListProjectsForUser", "GET /v3/users/{user_id}/projects", "Regions that a user may act in.", a.listUserRegions),
		identity("KeystoneShowProject", "GET /v3/projects/{project_id}", "One region.", a.showRegion),
		identity("KeystoneListAuthDomains", "GET /v3/auth/domains", "The caller's domain.", a.listDomains),
		open(credential("CreateTemporaryAccessKeyByToken", "POST /v3.0/OS-CREDENTIAL/securitytokens", "Get a temporary access key.", a.createTemporaryKey)),
		credential("CreatePermanentAccessKey", "POST /v3.0/OS-CREDENTIAL/credentials", "Make an access key.", a.createKey),
		credential("ListPermanentAccessKeys", "GET /v3.0/OS-CREDENTIAL/credentials", "Access keys of a user.", a.listKeys),
		credential("ShowPermanentAccessKey", "GET /v3.0/OS-CREDENTIAL/credentials/{access_key}", "One access key.", a.showKey),
		credential("UpdatePermanentAccessKey", "PUT /v3.0/OS-CREDENTIAL/credentials/{access_key}", "Switch an access key on or off.", a.updateKey),
		credential("DeletePermanentAccessKey", "DELETE /v3.0/OS-CREDENTIAL/credentials/{access_key}", "Delete an access key.", a.deleteKey),
	}
}

// identity is an operation of the identity service.
func identity[In, Out any](id, route, summary string, f func(call, In) (Out, error)) operation {
	o := handle(id, route, current, summary, f)
	o.global, o.style = true, identityError
	return o
}

// credential is one of those operations of it that have another form of errors.
func credential[In, Out any](id, route, summary string, f func(call, In) (Out, error)) operation {
	o := identity(id, route, summary, f)
	o.style = credentialError
	return o
}

type identityErrorBody struct {
	Error identityErrorDetail `json:"error"`
}

type identityErrorDetail struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Title   string `json:"title"`
}

func identityError(e *apiError, _ string) any {
	message := e.Message
	if e.Status == http.StatusBadRequest {
		message = "The request body is invalid: " + message
	}
	return identityErrorBody{identityErrorDetail{e.Status, message, http.StatusText(e.Status)}}
}

type credentialErrorBody struct {
	Code    string `json:"error_code"`
	Message string `json:"error_msg"`
}

func credentialError(e *apiError, _ string) any {
	code := map[int]string{
		http.StatusBadRequest: "IAM.0011", http.StatusUnauthorized: "IAM.0001", http.StatusForbidden: "IAM.0002", http.StatusNotFound: "IAM.0004",
	}[e.Status]
	if code == "" {
		code = "IAM.0006"
	}
	return credentialErrorBody{code, e.Message}
}

// identityTime has exactly six digits of a second: one SDK reads nothing else.
type identityTime time.Time

// MarshalJSON implements [json.Marshaler].
func (t identityTime) MarshalJSON() ([]byte, error) {
	return time.Time(t).UTC().AppendFormat(nil, `"2006-01-02T15:04:05.000000Z"`), nil
}

type linksAnswer struct {
	Self     string  `json:"self"`
	Previous *string `json:"previous"`
	Next     *string `json:"next"`
}

type selfLink struct {
	Self string `json:"self"`
}

// base returns the address that the client reached this server by.
func base(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

func linksTo(r *http.Request) linksAnswer { return linksAnswer{Self: base(r) + r.URL.RequestURI()} }

type nothing struct{}

type domainsAnswer struct {
	Links   linksAnswer    `json:"links"`
	Domains []domainAnswer `json:"domains"`
}

type domainAnswer struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Enabled     bool     `json:"enabled"`
	Description string   `json:"description"`
	Links       selfLink `json:"links"`
}

func (a *API) listDomains(c call, _ nothing) (*domainsAnswer, error) {
	d := c.caller.Domain
	return &domainsAnswer{Links: linksTo(c.r), Domains: []domainAnswer{{
		ID: d.ID, Name: d.Name, Enabled: true, Links: selfLink{base(c.r) + "/v3/domains/" + d.ID},
	}}}, nil
}

type regionsRequest struct {
	Name     word `query:"name"`
	DomainID word `query:"domain_id"`
	ParentID word `query:"parent_id"`
	Enabled  word `query:"enabled"`
	Page     page `query:"page"`
	PerPage  page `query:"per_page"`
}

// page is a page's number or size; both count from 1.
type page int

func (p *page) parse(name, value string) error {
	n, err := parseNumber(name, value, 1, 5000)
	*p = page(n)
	return err
}

type regionsAnswer struct {
	Links    linksAnswer    `json:"links"`
	Projects []regionAnswer `json:"projects"`
}

// regionAnswer is a region, which the identity service calls a project.
type regionAnswer struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	DomainID    string   `json:"domain_id"`
	ParentID    string   `json:"parent_id"`
	Enabled     bool     `json:"enabled"`
	IsDomain    bool     `json:"is_domain"`
	Description string   `json:"description"`
	Links       selfLink `json:"links"`
}

func presentRegion(r *http.Request) func(iam.Region) regionAnswer {
	return func(region iam.Region) regionAnswer {
		return regionAnswer{
			ID: region.ID, Name: region.Name, DomainID: region.DomainID, ParentID: region.DomainID, Enabled: true,
			Links: selfLink{base(r) + "/v3/projects/" + region.ID},
		}
	}
}

func (a *API) listRegions(c call, in regionsRequest) (*regionsAnswer, error) {
	regions, err := a.IAM.RegionsOf(c.ctx(), c.caller, string(in.Name))
	if err != nil {
		return nil, err
	}
	domain := c.caller.Domain.ID
	if (in.DomainID != "" && string(in.DomainID) != domain) || (in.ParentID != "" && string(in.ParentID) != domain) || in.Enabled == "false" {
		regions = nil
	}
	if in.PerPage > 0 {
		from := min(len(regions), int(max(in.Page, 1)-1)*int(in.PerPage))
		regions = regions[from:min(len(regions), from+int(in.PerPage))]
	}
	return &regionsAnswer{Links: linksTo(c.r), Projects: list(regions, presentRegion(c.r))}, nil
}

type userRegionsRequest struct {
	UserID word `path:"user_id"`
}

func (a *API) listUserRegions(c call, in userRegionsRequest) (*regionsAnswer, error) {
	// Who may act for a user may see this; all users of a domain act in the same regions.
	if _, err := a.IAM.UserBy(c.ctx(), c.caller, string(in.UserID)); err != nil {
		return nil, err
	}
	return a.listRegions(c, regionsRequest{})
}

type regionRequest struct {
	ProjectID word `path:"project_id"`
}

type oneRegionAnswer struct {
	Project regionAnswer `json:"project"`
}

func (a *API) showRegion(c call, in regionRequest) (*oneRegionAnswer, error) {
	region, err := a.IAM.RegionBy(c.ctx(), c.caller, string(in.ProjectID))
	return &oneRegionAnswer{presentRegion(c.r)(region)}, err
}

var errNoSubject = fault.New(fault.Invalid, "the header X-Subject-Token is missing")
