package httpapi

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"atelier/internal/fault"
	"atelier/internal/keystore"
)

func (a *API) keystoreOperations() []operation {
	return []operation{
		handle("UploadKeystore", "POST /v2/keystore/upload", current, "Upload a file for builds, such as a key or settings.", a.uploadFile),
		handle("UpdateKeystore", "POST /v2/keystore/update/{id}", current, "Change name, description and sharing of a file.", a.updateFile),
		handle("DeleteKeystore", "DELETE /v2/keystore/{keystore_id}/delete", current, "Delete a file.", a.deleteFile),
		handle("DownloadKeystore", "GET /v3/keystore", outdated, "Download a file by its name.", a.downloadFileNamed),
		handle("DownloadKeystoreByName", "GET /v2/keystore/download", current, "Download a file by its name and id.", a.downloadFile),
		handle("ListKeystore", "GET /v2/keystore/name", current, "The files that the caller may use.", a.listUsableFiles),
		handle("ListKeystoreSearch", "GET /v2/keystore/list", current, "The files of the tenant, with what the caller may do with them.", a.listFiles),
		handle("ShowKeystorePermission", "GET /v2/keystore/permission/{keystore_id}/query", current, "Who may do what with a file.", a.listGrants),
		handle("AddKeystorePermission", "POST /v2/keystore/permission/add", current, "Let a user do something with a file.", a.addGrant),
		handle("UpdateKeystorePermission", "POST /v2/keystore/permission/edit", current, "Change what a user may do with a file.", a.updateGrant),
		handle("DeleteKeystorePermission", "DELETE /v2/keystore/permission/{permission_id}/delete", current, "Take away what a user may do with a file.", a.deleteGrant),
	}
}

// maxFormFields bounds the parts of a form.
const maxFormFields = 10

// readForm returns the first file of a form, its name, and the other fields.
func readForm(contentType string, body []byte) (name string, file []byte, fields map[string]string, err error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return "", nil, nil, invalid(codeInvalid, "Content-Type", "must be multipart/form-data with a boundary, found %q", shorten(contentType))
	}
	fields = make(map[string]string)
	form := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for range maxFormFields {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return name, file, fields, nil
		}
		if err != nil {
			return "", nil, nil, invalid(codeInvalid, "body", "is no complete form")
		}
		content, err := io.ReadAll(part) // the whole body is in memory already
		if err != nil {
			return "", nil, nil, invalid(codeInvalid, "body", "is no complete form")
		}
		if part.FormName() == "file" {
			name, file = part.FileName(), content
			continue
		}
		fields[part.FormName()] = string(content)
	}
	return "", nil, nil, invalid(codeInvalid, "body", "has more than %d fields", maxFormFields)
}

type keystoreIDAnswer struct {
	ID string `json:"keystore_id"`
}

func (a *API) uploadFile(c call, _ struct{}) (*envelope[keystoreIDAnswer], error) {
	name, content, fields, err := readForm(c.r.Header.Get("Content-Type"), c.body)
	if err != nil {
		return nil, err
	}
	if name == "" {
		return nil, invalid(codeNoFile, "file", "is missing; the form must have a field of this name, with a file")
	}
	if consent, err := strconv.ParseBool(fields["privacy"]); err != nil || !consent {
		return nil, invalid(codeInvalid, "privacy", "must be true, found %q; it says that the service may keep the file", shorten(fields["privacy"]))
	}
	f, err := a.Keystore.Add(c.ctx(), c.actor(), name, fields["description"], content)
	return wrap(keystoreIDAnswer{f.ID}), fileError(err)
}

// The vendor's codes for what can be wrong with a file.
const (
	codeNoFile       = "CB.00060212"
	codeFileName     = "CB.00060203"
	codeTooManyFiles = "CB.00060213"
)

// fileName is the name of a file of the keystore.
type fileName string

func (n *fileName) parse(name, value string) error {
	const longest = 500 // characters
	if c := utf8.RuneCountInString(value); c < 1 || c > longest {
		return invalid(codeFileName, name, "must have 1 to %d characters, found %d", longest, c)
	}
	return (*word)(n).parse(name, value)
}

// fileError gives errors of files their own codes.
func fileError(err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	switch {
	case ok && f.Kind == fault.Invalid && f.Field == "name":
		return invalid(codeFileName, "keystore_name", "%s", f.Message)
	case ok && f.Kind == fault.Limit:
		return &apiError{Status: http.StatusBadRequest, Code: codeTooManyFiles, Message: f.Message}
	}
	return err
}

type updateFileRequest struct {
	ID   hexID `path:"id"`
	Body struct {
		ID          string    `json:"id"`
		Name        *string   `json:"keystore_name" doc:"required"`
		Description *string   `json:"description" doc:"required"`
		Share       looseText `json:"share" doc:"required"`
	} `body:"json"`
}

func (a *API) updateFile(c call, in updateFileRequest) (*envelope[*string], error) {
	b := in.Body
	given := map[string]bool{"keystore_name": b.Name != nil, "description": b.Description != nil, "share": b.Share != ""}
	if err := missing(without([]string{"keystore_name", "description", "share"}, func(key string) bool { return given[key] })...); err != nil {
		return nil, err
	}
	switch {
	case b.ID != "" && b.ID != string(in.ID):
		return nil, invalid(codeInvalid, "id", "must be the one in the path, %s, found %q", in.ID, shorten(b.ID))
	case b.Share != "0" && b.Share != "1":
		return nil, invalid(codeInvalid, "share", "must be 0 or 1, found %q", shorten(string(b.Share)))
	}
	err := a.Keystore.Update(c.ctx(), c.actor(), string(in.ID), *b.Name, *b.Description, b.Share == "1")
	return wrap[*string](nil), fileError(err)
}

type fileRequest struct {
	ID hexID `path:"keystore_id"`
}

func (a *API) deleteFile(c call, in fileRequest) (*envelope[*string], error) {
	return wrap[*string](nil), a.Keystore.Delete(c.ctx(), c.actor(), string(in.ID))
}

type downloadNamedRequest struct {
	Name     fileName  `query:"file_name" required:"true"`
	DomainID projectID `query:"domain_id" required:"true"`
}

func (a *API) downloadFileNamed(c call, in downloadNamedRequest) (*download, error) {
	if err := inDomain(c, in.DomainID); err != nil {
		return nil, err
	}
	f, content, err := a.Keystore.ContentNamed(c.ctx(), c.actor(), string(in.Name))
	return fileDownload(f, content), err
}

type downloadFileRequest struct {
	ID       hexID     `query:"id" required:"true"`
	Name     fileName  `query:"name" required:"true"`
	DomainID projectID `query:"domain_id" required:"true"`
}

func (a *API) downloadFile(c call, in downloadFileRequest) (*download, error) {
	if err := inDomain(c, in.DomainID); err != nil {
		return nil, err
	}
	f, content, err := a.Keystore.Content(c.ctx(), c.actor(), string(in.ID), string(in.Name))
	return fileDownload(f, content), err
}

// inDomain refuses what is asked of another domain than the caller's.
func inDomain(c call, domain projectID) error {
	if string(domain) != c.actor().DomainID {
		return fault.New(fault.NotFound, "domain %s does not exist", domain)
	}
	return nil
}

func fileDownload(f keystore.File, content []byte) *download {
	return &download{name: f.Name, size: int64(len(content)), body: io.NopCloser(bytes.NewReader(content))}
}

type fileNameAnswer struct {
	ID   string `json:"id"`
	Name string `json:"keystore_name"`
}

func (a *API) listUsableFiles(c call, _ struct{}) (*envelope[[]fileNameAnswer], error) {
	files, err := a.Keystore.Files(c.ctx(), c.actor(), "")
	usable := []fileNameAnswer{}
	for _, f := range files {
		if f.Rights.Use {
			usable = append(usable, fileNameAnswer{f.ID, f.Name})
		}
	}
	return wrap(usable), err
}

// fileAnswer is a file in a list. Times are minutes in the service's zone, and seconds since 1970 as text.
type fileAnswer struct {
	fileNameAnswer
	Description    string           `json:"description"`
	DomainID       string           `json:"domain_id"`
	DomainName     string           `json:"domain_name"`
	Share          int              `json:"share"`
	CreateUserID   string           `json:"create_user_id"`
	CreateUserName string           `json:"create_user_name"`
	UpdateUserID   string           `json:"update_user_id"`
	UpdateUserName string           `json:"update_user_name"`
	CreateTime     string           `json:"create_time"`
	UpdateTime     string           `json:"update_time"`
	CreateStamp    string           `json:"create_time_stamp"`
	UpdateStamp    string           `json:"update_time_stamp"`
	Permission     fileRightsAnswer `json:"permission"`
}

type fileRightsAnswer struct {
	FileID  string `json:"keystore_id"`
	Usage   bool   `json:"usage"`
	Modify  bool   `json:"modify"`
	Delete  bool   `json:"delete"`
	Setting bool   `json:"setting"`
}

func presentFileRights(id string, r keystore.Rights) fileRightsAnswer {
	return fileRightsAnswer{id, r.Use, r.Modify, r.Delete, r.Assign}
}

type fileListAnswer struct {
	Files []fileAnswer `json:"keystore_list"`
	Total int          `json:"total"`
}

type listFilesRequest struct {
	Page     page     `query:"page"`
	PageSize pageSize `query:"page_size"`
	Search   word     `query:"search"`
}

func (a *API) listFiles(c call, in listFilesRequest) (*envelope[fileListAnswer], error) {
	files, err := a.Keystore.Files(c.ctx(), c.actor(), string(in.Search))
	total := len(files)
	first := min((max(int(in.Page), 1)-1)*in.PageSize.rows(), total)
	minutes := func(t time.Time) string { return t.In(a.Zone).Format("2006-1-2 15:04") }
	stamp := func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
	return wrap(fileListAnswer{list(files[first:min(first+in.PageSize.rows(), total)], func(f keystore.Seen) fileAnswer {
		return fileAnswer{
			fileNameAnswer{f.ID, f.Name},
			f.Description, f.DomainID, c.caller.Domain.Name, oneIf(f.Shared), f.CreatorID, f.CreatorName, f.UpdaterID, f.UpdaterName,
			minutes(f.CreatedAt), minutes(f.UpdatedAt), stamp(f.CreatedAt), stamp(f.UpdatedAt), presentFileRights(f.ID, f.Rights),
		}
	}), total}), err
}

func oneIf(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// grantAnswer is what a user may do with a file. CanAbsent says whether it can be changed and removed.
type grantAnswer struct {
	fileRightsAnswer
	ID        string `json:"id"`
	UserName  string `json:"user_name"`
	IsCreator bool   `json:"is_creator"`
	CanAbsent bool   `json:"can_absent"`
}

type grantListAnswer struct {
	Grants []grantAnswer `json:"permission_list"`
	Total  int           `json:"total"`
}

type listGrantsRequest struct {
	ID       hexID    `path:"keystore_id"`
	Page     page     `query:"page" required:"true"`
	PageSize pageSize `query:"page_size" required:"true"`
}

func (a *API) listGrants(c call, in listGrantsRequest) (*envelope[grantListAnswer], error) {
	size := in.PageSize.rows()
	grants, total, err := a.Keystore.Grants(c.ctx(), c.actor(), string(in.ID), (int(in.Page)-1)*size, size)
	return wrap(grantListAnswer{list(grants, func(g keystore.Grant) grantAnswer {
		return grantAnswer{presentFileRights(g.FileID, g.Rights), g.ID, g.UserName, g.Creator, !g.Fixed}
	}), total}), err
}

// grantBody is what a user is to be allowed with a file, as clients write it.
type grantBody struct {
	ID        string    `json:"id"`
	FileID    string    `json:"keystore_id"`
	UserID    string    `json:"user_id"`
	UserName  string    `json:"user_name"`
	Usage     looseBool `json:"usage"`
	Modify    looseBool `json:"modify"`
	Delete    looseBool `json:"delete"`
	Setting   looseBool `json:"setting"`
	CanAbsent looseBool `json:"can_absent"`
}

// rights returns the flags, of which those that an operation demands must be there.
func (b grantBody) rights(demanded ...string) (keystore.Rights, error) {
	flags := map[string]*bool{"usage": b.Usage.value, "modify": b.Modify.value, "delete": b.Delete.value, "setting": b.Setting.value, "can_absent": b.CanAbsent.value}
	if err := missing(without(demanded, func(key string) bool { return flags[key] != nil })...); err != nil {
		return keystore.Rights{}, err
	}
	is := func(key string) bool { return flags[key] != nil && *flags[key] }
	return keystore.Rights{Use: is("usage"), Modify: is("modify"), Delete: is("delete"), Assign: is("setting")}, nil
}

type grantRequest struct {
	Body grantBody `body:"json"`
}

func (a *API) addGrant(c call, in grantRequest) (*envelope[string], error) {
	b := in.Body
	rights, err := b.rights("usage", "modify", "delete", "setting", "can_absent")
	if err != nil {
		return nil, err
	}
	var file hexID
	if err := file.parse("keystore_id", b.FileID); err != nil {
		return nil, err
	}
	if strings.TrimSpace(b.UserID) == "" {
		return nil, invalid(codeInvalid, "user_id", "is missing")
	}
	grant, err := a.Keystore.AddGrant(c.ctx(), c.actor(), keystore.Grant{FileID: string(file), UserID: b.UserID, Rights: rights, Fixed: !*b.CanAbsent.value})
	return wrap(grant.ID), err
}

func (a *API) updateGrant(c call, in grantRequest) (*envelope[*string], error) {
	rights, err := in.Body.rights("usage", "modify", "delete")
	if err != nil {
		return nil, err
	}
	var id, file hexID
	if err := errors.Join(id.parse("id", in.Body.ID), file.parse("keystore_id", in.Body.FileID)); err != nil {
		return nil, err
	}
	return wrap[*string](nil), a.Keystore.UpdateGrant(c.ctx(), c.actor(), string(id), string(file), rights)
}

type deleteGrantRequest struct {
	ID hexID `path:"permission_id"`
}

func (a *API) deleteGrant(c call, in deleteGrantRequest) (*envelope[string], error) {
	return wrap(""), a.Keystore.DeleteGrant(c.ctx(), c.actor(), string(in.ID))
}

// hexID is the id of something that is neither a task nor a project.
type hexID string

func (id *hexID) parse(name, value string) error {
	if !isForm32(value) {
		return invalid(codeInvalidID, name, "must be 32 lower-case letters or digits, found %q", shorten(value))
	}
	*id = hexID(value)
	return nil
}
