package api_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/def"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam"
	"atelier/internal/iam/signature"
	"atelier/internal/server/servertest"
)

// uploadFile uploads a file through the SDK and returns its id.
func uploadFile(t *testing.T, s *servertest.Server, user servertest.User, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return *ok(t, s.Client(user).UploadKeystore, &model.UploadKeystoreRequest{Body: &model.UploadKeystoreRequestBody{
		File: def.NewFilePart(file), Privacy: def.NewMultiPart("true"), Description: def.NewMultiPart("for signing"),
	}}).Result.KeystoreId
}

func TestKeystore(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	domain := decoded[struct {
		Projects []struct {
			DomainID string `json:"domain_id"`
		}
	}](t, s.Call(s.Developer, "GET", "/v3/projects", "").Body).Projects[0].DomainID
	colleague, c := s.NewUser("colleague"), s.Client(s.Developer)
	const content = "<settings><password>dont-show-this</password></settings>"
	id := uploadFile(t, s, s.Developer, "settings.xml", content)
	read := func(user servertest.User) string {
		t.Helper()
		var out bytes.Buffer
		response := ok(t, s.Client(user).DownloadKeystoreByName, &model.DownloadKeystoreByNameRequest{Name: "settings.xml", DomainId: domain, Id: id})
		if _, err := io.Copy(&out, response.Body); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	byName := func(user servertest.User) servertest.Answer {
		return s.Call(user, "GET", "/v3/keystore?file_name=settings.xml&domain_id="+domain, "")
	}
	usable := func(user servertest.User) (names string) {
		for _, f := range *ok(t, s.Client(user).ListKeystore, &model.ListKeystoreRequest{}).Result {
			names += *f.KeystoreName + " "
		}
		return names
	}

	// Who uploads it may do everything, its colleagues nothing.
	if got := read(s.Developer); got != content {
		t.Errorf("it reads %q", got)
	}
	ok(t, c.DownloadKeystore, &model.DownloadKeystoreRequest{FileName: "settings.xml", DomainId: domain})
	if got := usable(s.Developer) + "| " + usable(colleague) + "| " + usable(s.Admin); got != "settings.xml | | settings.xml " {
		t.Errorf("they may use %s", got)
	}
	files := ok(t, s.Client(colleague).ListKeystoreSearch, &model.ListKeystoreSearchRequest{Search: new("SETT")}).Result
	if f := (*files.KeystoreList)[0]; files.Total != 1 || *f.Id != id || *f.KeystoreName != "settings.xml" || *f.Description != "for signing" || f.Share != 0 ||
		*f.DomainId != domain || *f.CreateUserName != "dev" || *f.CreateTimeStamp == "" || *f.CreateTime == "" || *f.Permission.Usage || *f.Permission.Setting {
		t.Errorf("a colleague sees %+v", f)
	}
	denied := func(user servertest.User) {
		t.Helper()
		checkProblem(t, s, byName(user), 403, "CB.00031001", "you have no permission to use this file")
		checkProblem(t, s, s.Call(user, "DELETE", "/v2/keystore/"+id+"/delete", ""), 403, "DEVCB.00031001", "delete this file")
		checkProblem(t, s, s.Call(user, "POST", "/v2/keystore/update/"+id, `{"keystore_name":"a.xml","description":"","share":1}`), 403, "DEVCB.00031001", "edit this file")
		checkProblem(t, s, s.Call(user, "POST", "/v2/keystore/permission/add",
			fmt.Sprintf(`{"keystore_id":%q,"user_id":%q,"user_name":"x","setting":true,"delete":true,"modify":true,"usage":true,"can_absent":true}`, id, user.ID)),
			403, "DEVCB.00031001", "assign permissions on this file")
	}
	denied(colleague)

	// A grant, its change and its end.
	grant := *ok(t, c.AddKeystorePermission, &model.AddKeystorePermissionRequest{Body: &model.AddKeystorePermissionRequestBody{
		KeystoreId: id, UserId: colleague.ID, UserName: "colleague", Usage: true, Setting: true, CanAbsent: true,
	}}).Result
	if got := read(colleague); got != content {
		t.Errorf("a colleague reads %q", got)
	}
	grants := ok(t, s.Client(colleague).ShowKeystorePermission, &model.ShowKeystorePermissionRequest{KeystoreId: id, PageSize: 10, Page: "1"}).Result
	list := *grants.PermissionList
	if *grants.Total != 2 || !*list[0].IsCreator || *list[0].CanAbsent || *list[1].Id != grant || *list[1].UserName != "colleague" || !*list[1].Usage || *list[1].Modify || !*list[1].Setting || !*list[1].CanAbsent {
		t.Errorf("the grants are %+v", list)
	}
	ok(t, c.UpdateKeystorePermission, &model.UpdateKeystorePermissionRequest{Body: &model.UpdateKeystorePermissionRequestBody{
		Id: grant, KeystoreId: id, UserName: "colleague", Modify: true,
	}})
	checkProblem(t, s, byName(colleague), 403, "CB.00031001", "use this file")
	ok(t, s.Client(colleague).UpdateKeystore, &model.UpdateKeystoreRequest{Id: id, Body: &model.UpdateKeystoreRequestBody{Id: id, KeystoreName: "settings.xml", Description: "changed", Share: 0}})
	checkProblem(t, s, s.Call(colleague, "POST", "/v2/keystore/permission/edit", fmt.Sprintf(`{"id":%q,"keystore_id":%q,"delete":false,"modify":false,"usage":false}`, *list[0].Id, id)),
		403, "DEVCB.00031001", "the permission of the one who uploaded the file cannot be changed") // also for who may assign
	checkProblem(t, s, s.Call(colleague, "DELETE", "/v2/keystore/permission/"+*list[0].Id+"/delete", ""), 403, "DEVCB.00031001", "cannot be changed")
	ok(t, c.DeleteKeystorePermission, &model.DeleteKeystorePermissionRequest{PermissionId: grant})
	denied(colleague)

	// Shared: everybody may use it, and nothing else.
	ok(t, c.UpdateKeystore, &model.UpdateKeystoreRequest{Id: id, Body: &model.UpdateKeystoreRequestBody{Id: id, KeystoreName: "settings.xml", Description: "", Share: 1}})
	if got := read(colleague); got != content {
		t.Errorf("a colleague reads %q of a shared file", got)
	}
	checkProblem(t, s, s.Call(colleague, "DELETE", "/v2/keystore/"+id+"/delete", ""), 403, "DEVCB.00031001", "delete this file")
	s.Restart()
	if got := read(colleague); got != content {
		t.Errorf("after a restart it reads %q", got)
	}
	testFileInBuild(t, s, colleague)
	testBadFiles(t, s, id, domain)
	checkFiles(t, s, "dont-show-this")
	ok(t, s.Client(s.Admin).DeleteKeystore, &model.DeleteKeystoreRequest{KeystoreId: id})
	checkProblem(t, s, byName(s.Developer), 404, "CB.00031006", `file "settings.xml" does not exist`)
}

// testFileInBuild has builds use a file: one by a user who may, one of a file that is not there, and one by a user who may not.
func testFileInBuild(t *testing.T, s *servertest.Server, colleague servertest.User) {
	s.Grant(s.Project, colleague, iam.Developer)
	uploadFile(t, s, s.Developer, "own.pem", "dont-show-this key")
	fetch := func(user servertest.User, file string) model.RecordInfoResult {
		c := s.Client(user)
		task := shell(s, "fetch-"+user.Name+"-"+strings.TrimSuffix(file, ".pem"), "wc -c < "+file)
		task.Steps = append([]model.CreateBuildJobSteps{{ModuleId: "devcloud2018.codeci_action_20061.action", Name: "Fetch", Properties: map[string]any{"name": file}}}, task.Steps...)
		job := create(t, c, task)
		run(t, c, &model.RunJobRequestBody{JobId: job})
		return await(t, c, job, 1)
	}
	record := fetch(s.Developer, "own.pem")
	log := s.Call(s.Developer, "GET", "/v4/"+*record.BuildRecordId+"/download-log", "").Body
	if *record.Status != "SUCCESS" || !strings.Contains(log, "Downloaded own.pem: 18 bytes, from file management") || !strings.Contains(log, "] 18\n") {
		t.Errorf("%+v\n%s", record, log)
	}
	if r := fetch(s.Developer, "none.pem"); *r.Status != "FAILURE" || !strings.Contains(*r.ErrMsg, `file "none.pem" does not exist`) {
		t.Errorf("%+v", r)
	}
	if r := fetch(colleague, "own.pem"); *r.Status != "FAILURE" || !strings.Contains(*r.ErrMsg, `the file "own.pem" may not be used by colleague, who started the build and last saved the task`) {
		t.Errorf("%+v", r)
	}
}

func testBadFiles(t *testing.T, s *servertest.Server, id, domain string) {
	form := func(field, name, privacy, content string) (body, kind string) {
		return "--b\r\nContent-Disposition: form-data; name=\"" + field + "\"; filename=\"" + name + "\"\r\n\r\n" + content +
			"\r\n--b\r\nContent-Disposition: form-data; name=\"privacy\"\r\n\r\n" + privacy + "\r\n--b--\r\n", "multipart/form-data; boundary=b"
	}
	send := func(body, kind string) servertest.Answer {
		r := s.Request("POST", "/v2/keystore/upload", body)
		r.Header.Set("Content-Type", kind)
		signature.Sign(r, []byte(body), s.Developer.Key, time.Now())
		return s.Send(r)
	}
	for name, tt := range map[string]struct {
		field, file, privacy, content string
		code, words                   string
	}{
		"no file":        {"other", "a.xml", "true", "x", "CB.00060212", "file: is missing"},
		"no consent":     {"file", "a.xml", "no", "x", "CB.00060200", `privacy: must be true, found "no"`},
		"empty":          {"file", "a.xml", "true", "", "CB.00060200", "file: must have 1 to 102400 bytes, found 0"},
		"too large":      {"file", "a.xml", "true", strings.Repeat("x", 102401), "CB.00060200", "found 102401"},
		"another kind":   {"file", "a.exe", "true", "x", "CB.00060203", `keystore_name: must end with one of .xml, .key, .keystore, .jks, .crt, .pem, found "a.exe"`},
		"only extension": {"file", ".xml", "true", "x", "CB.00060203", "keystore_name: must have something before .xml"},
		"long name":      {"file", strings.Repeat("a", 500) + ".xml", "true", "x", "CB.00060203", "keystore_name: must have 1 to 500 characters, found 504"},
		"taken":          {"file", "settings.xml", "true", "x", "CB.00039001", `another file is called "settings.xml"`},
	} {
		t.Run(name, func(t *testing.T) {
			body, kind := form(tt.field, tt.file, tt.privacy, tt.content)
			a := send(body, kind)
			checkProblem(t, s, a, 400, tt.code, tt.words)
		})
	}
	t.Run("no form", func(t *testing.T) {
		checkProblem(t, s, s.Call(s.Developer, "POST", "/v2/keystore/upload", `{}`), 400, "CB.00060200", "Content-Type: must be multipart/form-data")
	})
	t.Run("too many", func(t *testing.T) {
		for i := range 18 {
			uploadFile(t, s, s.Developer, fmt.Sprintf("file%d.pem", i), "x")
		}
		body, kind := form("file", "more.pem", "true", "x")
		checkProblem(t, s, send(body, kind), 400, "CB.00060213", "the tenant has 20 files")
	})
	const unknown = "cb5fa20de5fd4cf8be681d4bd6fdd2f6"
	grant := func(file, user string) string {
		return fmt.Sprintf(`{"keystore_id":%q,"user_id":%q,"user_name":"x","setting":true,"delete":true,"modify":true,"usage":true,"can_absent":true}`, file, user)
	}
	for _, r := range []badRequest{
		{"share", "POST", "/v2/keystore/update/" + id, `{"keystore_name":"a.xml","description":"","share":2}`, 400, "CB.00060200", []string{`share: must be 0 or 1, found "2"`}},
		{"no name", "POST", "/v2/keystore/update/" + id, `{"description":"","share":1}`, 400, "CB.00060200", []string{"keystore_name: is missing"}},
		{"another id", "POST", "/v2/keystore/update/" + id, `{"id":"x","keystore_name":"a.xml","description":"","share":1}`, 400, "CB.00060200", []string{"id: must be the one in the path"}},
		{"bad id", "DELETE", "/v2/keystore/x/delete", "", 400, "CB.00060202", []string{`keystore_id: must be 32`}},
		{"unknown id", "DELETE", "/v2/keystore/" + unknown + "/delete", "", 404, "DEVCB.00031006", []string{unknown + " does not exist"}},
		{"another domain", "GET", "/v3/keystore?file_name=settings.xml&domain_id=" + unknown, "", 404, "CB.00031006", []string{"domain " + unknown + " does not exist"}},
		{"another name", "GET", "/v2/keystore/download?name=other.xml&domain_id=" + domain + "&id=" + id, "", 404, "DEVCB.00031006", []string{"does not exist"}},
		{"no flags", "POST", "/v2/keystore/permission/add", fmt.Sprintf(`{"keystore_id":%q,"user_id":"x"}`, id), 400, "CB.00060200", []string{"usage, modify, delete, setting, can_absent: are missing"}},
		{"unknown user", "POST", "/v2/keystore/permission/add", grant(id, unknown), 404, "DEVCB.00031006", []string{"does not exist"}},
		{"twice", "POST", "/v2/keystore/permission/add", grant(id, s.Developer.ID), 400, "CB.00039001", []string{"has a permission on the file already"}},
		{"unknown grant", "DELETE", "/v2/keystore/permission/" + unknown + "/delete", "", 404, "DEVCB.00031006", []string{"permission " + unknown + " does not exist"}},
		{"page", "GET", "/v2/keystore/permission/" + id + "/query?page=0&page_size=10", "", 400, "CB.00060200", []string{"page: must be a whole number from 1"}},
		{"size", "GET", "/v2/keystore/list?page_size=101", "", 400, "CB.00060200", []string{"page_size: must be a whole number from 0 to 100"}},
	} {
		t.Run(r.name, func(t *testing.T) {
			checkProblem(t, s, s.Call(s.Developer, r.method, r.path, r.body), r.status, r.code, r.words...)
		})
	}
}
