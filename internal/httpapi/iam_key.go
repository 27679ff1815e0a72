package httpapi

import (
	"time"

	"atelier/internal/iam"
)

type temporaryKeyRequest struct {
	Body struct {
		Auth struct {
			Identity struct {
				Methods []string `json:"methods"`
				Token   struct {
					ID       string `json:"id"`
					Duration int64  `json:"duration_seconds"`
				} `json:"token"`
			} `json:"identity"`
		} `json:"auth"`
	} `body:"json"`
}

type temporaryKeyAnswer struct {
	Credential temporaryKey `json:"credential"`
}

type temporaryKey struct {
	Access        string       `json:"access"`
	Secret        string       `json:"secret"`
	SecurityToken string       `json:"securitytoken"`
	ExpiresAt     identityTime `json:"expires_at"`
}

func (a *API) createTemporaryKey(c call, in temporaryKeyRequest) (none created[temporaryKeyAnswer], _ error) {
	identity := in.Body.Auth.Identity
	if len(identity.Methods) != 1 || identity.Methods[0] != string(iam.FromToken) {
		return none, invalid(codeInvalid, "auth.identity.methods", `must be ["token"]`)
	}
	caller, err := a.IAM.ByToken(c.ctx(), identity.Token.ID)
	if identity.Token.ID == "" {
		caller, err = a.authenticate(c.r, c.body)
	}
	if err != nil {
		return none, err
	}
	duration := iam.MinTemporary
	if identity.Token.Duration != 0 {
		// Cut to what a length of time can hold; the service says what is allowed.
		duration = time.Duration(min(max(identity.Token.Duration, -1), 1<<30)) * time.Second
	}
	key, err := a.IAM.TemporaryKey(c.ctx(), caller, duration)
	return created[temporaryKeyAnswer]{temporaryKeyAnswer{temporaryKey{key.Access, key.Secret, key.SecurityToken, identityTime(key.ExpiresAt)}}}, err
}

type createKeyRequest struct {
	Body struct {
		Credential struct {
			UserID      string `json:"user_id"`
			Description string `json:"description"`
		} `json:"credential"`
	} `body:"json"`
}

type keyAnswer struct {
	Credential keyDetail `json:"credential"`
}

type keysAnswer struct {
	Credentials []keyDetail `json:"credentials"`
}

type keyDetail struct {
	Access      string       `json:"access"`
	Secret      string       `json:"secret,omitempty"` // only when the key is made
	UserID      string       `json:"user_id"`
	Status      string       `json:"status"`
	CreateTime  identityTime `json:"create_time"`
	Description string       `json:"description"`
}

func presentKey(k iam.AccessKey) keyDetail {
	status := "active"
	if !k.Active {
		status = "inactive"
	}
	return keyDetail{Access: k.Access, UserID: k.UserID, Status: status, CreateTime: identityTime(k.CreatedAt), Description: k.Description}
}

func (a *API) createKey(c call, in createKeyRequest) (created[keyAnswer], error) {
	key, secret, err := a.IAM.CreateKeyBy(c.ctx(), c.caller, in.Body.Credential.UserID, in.Body.Credential.Description)
	detail := presentKey(key)
	detail.Secret = secret
	return created[keyAnswer]{keyAnswer{detail}}, err
}

type listKeysRequest struct {
	UserID word `query:"user_id"`
}

func (a *API) listKeys(c call, in listKeysRequest) (*keysAnswer, error) {
	user := string(in.UserID)
	if user == "" {
		user = c.caller.User.ID
	}
	keys, err := a.IAM.KeysBy(c.ctx(), c.caller, user)
	return &keysAnswer{list(keys, presentKey)}, err
}

type keyRequest struct {
	AccessKey word `path:"access_key"`
}

func (a *API) showKey(c call, in keyRequest) (*keyAnswer, error) {
	key, err := a.IAM.KeyBy(c.ctx(), c.caller, string(in.AccessKey))
	return &keyAnswer{presentKey(key)}, err
}

type updateKeyRequest struct {
	AccessKey word `path:"access_key"`
	Body      struct {
		Credential struct {
			Status string `json:"status"`
		} `json:"credential"`
	} `body:"json"`
}

func (a *API) updateKey(c call, in updateKeyRequest) (*keyAnswer, error) {
	switch in.Body.Credential.Status {
	case "active", "inactive":
	default:
		return nil, invalid(codeInvalid, "credential.status", "must be active or inactive, found %q", shorten(in.Body.Credential.Status))
	}
	if err := a.IAM.SetKeyActiveBy(c.ctx(), c.caller, string(in.AccessKey), in.Body.Credential.Status == "active"); err != nil {
		return nil, err
	}
	return a.showKey(c, keyRequest{in.AccessKey})
}

func (a *API) deleteKey(c call, in keyRequest) (noContent, error) {
	return noContent{}, a.IAM.DeleteKeyBy(c.ctx(), c.caller, string(in.AccessKey))
}
