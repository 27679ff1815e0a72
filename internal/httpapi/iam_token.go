package httpapi

import (
	"net/http"

	"atelier/internal/iam"
)

// subjectHeader carries the token that an operation is about.
const subjectHeader = "X-Subject-Token"

type createTokenRequest struct {
	Body tokenBody `body:"json"`
}

type tokenBody struct {
	Auth struct {
		Identity struct {
			Methods  []string `json:"methods"`
			Password struct {
				User struct {
					ID       string  `json:"id"`
					Name     string  `json:"name"`
					Password string  `json:"password"`
					Domain   refBody `json:"domain"`
				} `json:"user"`
			} `json:"password"`
			AccessKey struct {
				Access keyBody `json:"access"`
				Secret keyBody `json:"secret"`
			} `json:"hw_ak_sk"`
			Token struct {
				ID string `json:"id"`
			} `json:"token"`
		} `json:"identity"`
		Scope *struct {
			Project *refBody `json:"project"`
			Domain  *refBody `json:"domain"`
		} `json:"scope"`
	} `json:"auth"`
}

type keyBody struct {
	Key string `json:"key"`
}

type refBody struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

func (b *refBody) ref() *iam.Ref {
	if b == nil {
		return nil
	}
	return &iam.Ref{ID: b.ID, Name: b.Name}
}

func (b tokenBody) request() (iam.TokenRequest, error) {
	identity := b.Auth.Identity
	if n := len(identity.Methods); n != 1 {
		return iam.TokenRequest{}, invalid(codeInvalid, "auth.identity.methods", "must have one method, found %d", n)
	}
	user := identity.Password.User
	req := iam.TokenRequest{
		Method:   iam.Method(identity.Methods[0]),
		User:     iam.UserRef{ID: user.ID, Name: user.Name, Domain: *user.Domain.ref()},
		Password: user.Password,
		Access:   identity.AccessKey.Access.Key, Secret: identity.AccessKey.Secret.Key,
		Token: identity.Token.ID,
	}
	if b.Auth.Scope != nil {
		req.Scope = iam.Scope{Region: b.Auth.Scope.Project.ref(), Domain: b.Auth.Scope.Domain.ref()}
	}
	return req, nil
}

func (a *API) createToken(c call, in createTokenRequest) (none created[*tokenAnswer], _ error) {
	req, err := in.Body.request()
	if err != nil {
		return none, err
	}
	if req.Method == iam.FromToken && req.Token == "" {
		req.Token = c.r.Header.Get("X-Auth-Token")
	}
	value, token, err := a.IAM.Issue(c.ctx(), req, a.originOf(c.r))
	if err != nil {
		return none, err
	}
	c.w.Header().Set(subjectHeader, value)
	return created[*tokenAnswer]{a.presentToken(c.r, token)}, nil
}

// originOf returns where a request comes from.
func (a *API) originOf(r *http.Request) iam.Origin {
	return iam.Origin{Address: r.RemoteAddr, Hint: a.Proxies.Hint(r), Agent: r.UserAgent()}
}

func (a *API) showToken(c call, _ nothing) (*tokenAnswer, error) {
	subject := c.r.Header.Get(subjectHeader)
	if subject == "" {
		return nil, errNoSubject
	}
	token, err := a.IAM.Lookup(c.ctx(), c.caller, subject)
	if err != nil {
		return nil, err
	}
	c.w.Header().Set(subjectHeader, subject)
	return a.presentToken(c.r, token), nil
}

func (a *API) revokeToken(c call, _ nothing) (noContent, error) {
	subject := c.r.Header.Get(subjectHeader)
	if subject == "" {
		return noContent{}, errNoSubject
	}
	return noContent{}, a.IAM.Revoke(c.ctx(), c.caller, subject)
}

type (
	tokenAnswer struct {
		Token tokenDetail `json:"token"`
	}
	tokenDetail struct {
		Methods   []iam.Method   `json:"methods"`
		IssuedAt  identityTime   `json:"issued_at"`
		ExpiresAt identityTime   `json:"expires_at"`
		User      tokenUser      `json:"user"`
		Project   *tokenProject  `json:"project,omitempty"` // of a token for a region
		Domain    *named         `json:"domain,omitempty"`  // of a token for a domain
		Roles     []named        `json:"roles"`
		Catalog   []catalogEntry `json:"catalog,omitempty"`
	}
	tokenUser struct {
		ID                string `json:"id"`
		Name              string `json:"name"`
		Domain            named  `json:"domain"`
		PasswordExpiresAt string `json:"password_expires_at"` // never
	}
	tokenProject struct {
		ID     string `json:"id"`
		Name   string `json:"name"`
		Domain named  `json:"domain"`
	}
	named struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	catalogEntry struct {
		ID        string            `json:"id"`
		Name      string            `json:"name"`
		Type      string            `json:"type"`
		Endpoints []catalogEndpoint `json:"endpoints"`
	}
	catalogEndpoint struct {
		ID        string `json:"id"`
		Interface string `json:"interface"`
		Region    string `json:"region"`
		RegionID  string `json:"region_id"`
		URL       string `json:"url"`
	}
)

func (a *API) presentToken(r *http.Request, t iam.Token) *tokenAnswer {
	domain := named{t.Domain.ID, t.Domain.Name}
	detail := tokenDetail{
		Methods: []iam.Method{t.Method}, IssuedAt: identityTime(t.IssuedAt), ExpiresAt: identityTime(t.ExpiresAt),
		User: tokenUser{ID: t.User.ID, Name: t.User.Name, Domain: domain}, Roles: []named{},
	}
	if t.User.Administrator {
		detail.Roles = append(detail.Roles, named{"0", "te_admin"})
	}
	if t.Region.ID != "" {
		detail.Project = &tokenProject{t.Region.ID, t.Region.Name, domain}
	} else {
		detail.Domain = &domain
	}
	if !r.URL.Query().Has("nocatalog") {
		detail.Catalog = a.catalog(r)
	}
	return &tokenAnswer{detail}
}

// catalog says where the services are: all here.
func (a *API) catalog(r *http.Request) []catalogEntry {
	entry := func(id, kind, path string) catalogEntry {
		return catalogEntry{ID: id, Name: kind, Type: kind, Endpoints: []catalogEndpoint{{
			ID: id, Interface: "public", Region: a.Region, RegionID: a.Region, URL: base(r) + path,
		}}}
	}
	return []catalogEntry{entry("1", "codeci", ""), entry("2", "iam", "/v3")}
}
