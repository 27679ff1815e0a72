package api_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam"
	"atelier/internal/server/servertest"
)

const (
	privateKey    = "dont-show-this key"
	privateKeyRev = "yek siht-wohs-tnod" // as a step prints it
	readKey       = "version: 2.0\nsteps:\n  BUILD:\n    - download_file: {inputs: {name: own.pem}}\n    - sh: {inputs: {command: rev own.pem}}\n"
)

// rightsWorld is a server with a private file, people who may use it and people who may not, and tasks that read it.
type rightsWorld struct {
	*servertest.Server
	t       *testing.T
	granted servertest.User // by the one who uploaded the file
	maker   servertest.User // of the tasks; may use the file too
	fileID  string
	task    string // reads the file
	flow    string // has a job that does
	urls    map[string]string
	commits int
	commit  func() string // a new one of the task's repository
}

func newRightsWorld(t *testing.T) *rightsWorld {
	t.Helper()
	w := &rightsWorld{Server: servertest.Start(t), t: t, urls: make(map[string]string)}
	w.maker = w.Admin
	w.granted = w.member("granted")
	owner := w.member("owner")
	w.fileID = uploadFile(t, w.Server, owner, "own.pem", privateKey)
	ok(t, w.Client(owner).AddKeystorePermission, &model.AddKeystorePermissionRequest{Body: &model.AddKeystorePermissionRequestBody{
		KeystoreId: w.fileID, UserId: w.granted.ID, UserName: "granted", Usage: true, CanAbsent: true,
	}})
	repo := w.NewRepository("app")
	repo.Write(".cloudbuild/build.yml", readKey)
	w.commit = func() string {
		w.commits++
		return repo.Commit(fmt.Sprint("commit ", w.commits))
	}
	w.commit()
	flow := w.NewRepository("flow")
	flow.Write(".cloudbuild/build.yml", "version: 2.0\nbuildflow:\n  strategy: lazy\n  jobs:\n    - {job: Sign, build_ref: .cloudbuild/sign.yml}\n")
	flow.Write(".cloudbuild/sign.yml", readKey)
	flow.Commit("init")
	setSecret(t, w.Server)
	c := w.Client(w.maker)
	w.task = create(t, c, autoBuilt(w.Server, "read", repo.URL()))
	w.flow = create(t, c, fromFile(w.Server, "flow", flow.URL()))
	w.urls[w.task], w.urls[w.flow] = repo.URL(), flow.URL()
	return w
}

// member makes a developer of the project.
func (w *rightsWorld) member(name string) servertest.User {
	user := w.NewUser(name)
	w.Grant(w.Project, user, iam.Developer)
	return user
}

// save has a user save a task as it is.
func (w *rightsWorld) save(user servertest.User, task string) {
	w.t.Helper()
	ok(w.t, w.Client(user).UpdateNewJob, &model.UpdateNewJobRequest{Body: &model.UpdateBuildJobRequestBody{
		JobId: task, ProjectId: w.Project, JobName: map[string]string{w.task: "read", w.flow: "flow"}[task], Arch: servertest.Arch, BuildConfigType: new("YAML"),
		Steps: []model.UpdateBuildJobSteps{}, Scms: &[]model.UpdateBuildJobScm{{Url: w.urls[task], ScmType: "default", Branch: new("main")}},
	}})
}

// start starts a build by one of the ways there are, and returns its task and number.
func (w *rightsWorld) start(way string, user servertest.User) (task string, number int) {
	w.t.Helper()
	post := func(path, body string) servertest.Answer {
		a := w.Call(user, "POST", path, body)
		if a.Status != 200 {
			w.t.Fatalf("%s: %d %s", way, a.Status, a.Body)
		}
		return a
	}
	started := func(a servertest.Answer) int {
		var in struct {
			Number string `json:"actual_build_number"`
			Result struct {
				Number string `json:"actual_build_number"`
			}
		}
		if err := json.Unmarshal([]byte(a.Body), &in); err != nil {
			w.t.Fatal(err, a.Body)
		}
		var n int
		_, _ = fmt.Sscan(cmp.Or(in.Number, in.Result.Number), &n)
		return n
	}
	told := func(id string) int { return awaitTold(w.t, w.Server, id).Results[0].Number }
	push := func() string { return pushed(w.urls[w.task], "refs/heads/main", w.commit()) }
	hook := func() string {
		body := push()
		id, a := deliver(w.t, w.Server, "github", body, "X-GitHub-Event", "push", "X-GitHub-Delivery", fmt.Sprint(w.commits), "X-Hub-Signature-256", "sha256="+hmacOf(hookSecret, body))
		if id == "" {
			w.t.Fatalf("%d %s", a.Status, a.Body)
		}
		return id
	}
	switch way {
	case "manual":
		return w.task, run(w.t, w.Client(user), &model.RunJobRequestBody{JobId: w.task})
	case "pipeline":
		return w.task, started(post("/v1/job/execute", fmt.Sprintf(`{"job_id": %q, "trigger_type": "PIPELINE_TRIGGER"}`, w.task)))
	case "flow":
		return w.flow, run(w.t, w.Client(user), &model.RunJobRequestBody{JobId: w.flow})
	case "rerun": // of a build that somebody with all rights has started
		n := run(w.t, w.Client(w.Admin), &model.RunJobRequestBody{JobId: w.task})
		await(w.t, w.Client(w.Admin), w.task, n)
		return w.task, started(post(fmt.Sprintf("/v3/jobs/%s/%d/rerun", w.task, n), ""))
	case "auto-execute":
		a := post("/v1/job/"+w.task+"/auto-execute", strings.Replace(push(), "{", `{"event_type": "push", `, 1))
		return w.task, told(decoded[struct {
			Result struct {
				ID string `json:"delivery_id"`
			}
		}](w.t, a.Body).Result.ID)
	case "replay":
		id := hook()
		await(w.t, w.Client(w.Admin), w.task, told(id))
		post("/v1/hooks/"+w.Project+"/deliveries/"+id+"/replay", "")
		return w.task, told(id)
	case "hook":
		return w.task, told(hook())
	}
	w.t.Fatalf("no way %q", way)
	return "", 0
}

// end waits for a build, and returns its record and whether its log, or that of its children, has the file.
func (w *rightsWorld) end(task string, number int) (record model.RecordInfoResult, read bool) {
	w.t.Helper()
	record = await(w.t, w.Client(w.Admin), task, number)
	if record.ErrMsg == nil {
		record.ErrMsg = new("")
	}
	ids := []string{*record.BuildRecordId}
	if task == w.flow {
		graph := w.Call(w.Admin, "GET", "/v1/record/"+ids[0]+"/flow-graph", "").Body
		for _, part := range strings.Split(graph, `"`) {
			if len(part) == 36 && part != ids[0] {
				ids = append(ids, part)
			}
		}
	}
	for _, id := range ids {
		read = read || strings.Contains(w.Call(w.Admin, "GET", "/v4/"+id+"/download-log", "").Body, privateKeyRev)
	}
	return record, read
}

// TestWhatABuildMayUse starts builds in every way, by people with and without the right to a private file, of a task that people with
// and without it have saved last. A build has what both may use, whoever made the task, and its record says who started it.
func TestWhatABuildMayUse(t *testing.T) {
	t.Parallel()
	w := newRightsWorld(t)
	may := map[string]bool{"admin": true, "granted": true, "dev": false}
	users := []servertest.User{w.Admin, w.granted, w.Developer}
	for _, editor := range users {
		w.save(editor, w.task)
		w.save(editor, w.flow)
		for _, way := range []string{"manual", "pipeline", "rerun", "flow", "auto-execute", "replay", "hook"} {
			for _, starter := range users {
				unattended := way == "hook"
				task, number := w.start(way, starter)
				record, read := w.end(task, number)
				want, by := may[starter.Name] && may[editor.Name], starter
				if unattended {
					want, by = may[editor.Name], editor
				}
				if read != want || (*record.Status == "SUCCESS") != want || *record.UserId != by.ID {
					t.Errorf("%s by %s, saved by %s: read %t, want %t: %s by %s: %s", way, starter.Name, editor.Name, read, want, *record.Status, *record.UserId, *record.ErrMsg)
				}
				who := by.Name + ", who"
				if may[by.Name] {
					who = editor.Name + ", who last saved the task"
				}
				if !want && (!strings.Contains(*record.ErrMsg, `the file "own.pem" may not be used by `+who) || !strings.Contains(*record.ErrMsg, "Who may assign permissions on it can allow that")) {
					t.Errorf("%s by %s, saved by %s: it says %q", way, starter.Name, editor.Name, *record.ErrMsg)
				}
				if unattended {
					break // nobody starts it
				}
			}
		}
	}
}

// TestRightsAreAskedWhenUsed takes rights away between the start and the use, and after the task was saved.
func TestRightsAreAskedWhenUsed(t *testing.T) {
	t.Parallel()
	w := newRightsWorld(t)
	leaver := w.member("leaver")
	grant := *ok(t, w.Client(w.Admin).AddKeystorePermission, &model.AddKeystorePermissionRequest{Body: &model.AddKeystorePermissionRequestBody{
		KeystoreId: w.fileID, UserId: leaver.ID, UserName: "leaver", Usage: true, CanAbsent: true,
	}}).Result
	expect := func(what, way string, by servertest.User, state, words string) {
		t.Helper()
		record, read := w.end(w.start(way, by))
		if *record.Status != state || read != (state == "SUCCESS") || !strings.Contains(*record.ErrMsg, words) {
			t.Errorf("%s, %s: %s %q, read %t", what, way, *record.Status, *record.ErrMsg, read)
		}
	}
	w.save(leaver, w.task)
	expect("with all rights", "manual", w.granted, "SUCCESS", "")
	expect("with all rights", "hook", w.granted, "SUCCESS", "")

	if err := w.IAM().SetUserEnabled(t.Context(), leaver.ID, false); err != nil {
		t.Fatal(err)
	}
	expect("disabled", "manual", w.granted, "FAILURE", "may not be used by leaver, who last saved the task")
	expect("disabled", "hook", w.granted, "SCHEDULE_FAILURE", "Nobody started the build in person, and leaver, who last saved the task, may not run it now. Somebody who has that right can look through the task and save it again")
	if err := w.IAM().SetUserEnabled(t.Context(), leaver.ID, true); err != nil {
		t.Fatal(err)
	}
	expect("enabled again", "hook", w.granted, "SUCCESS", "")
	ok(t, w.Client(w.Admin).DeleteKeystorePermission, &model.DeleteKeystorePermissionRequest{PermissionId: grant})
	expect("without the permission", "manual", w.granted, "FAILURE", "may not be used by leaver, who last saved the task")
	if err := w.IAM().RevokeRole(t.Context(), w.Project, leaver.ID, iam.Developer); err != nil {
		t.Fatal(err)
	}
	expect("without the role", "hook", w.granted, "SCHEDULE_FAILURE", "leaver, who last saved the task, may not run it now")
	if err := w.IAM().DeleteUser(t.Context(), leaver.ID); err != nil {
		t.Fatal(err)
	}
	expect("deleted", "manual", w.granted, "FAILURE", "may not be used by leaver, who last saved the task")
	w.save(w.granted, w.task) // nothing has changed but who answers for it
	expect("saved again", "manual", w.granted, "SUCCESS", "")
	expect("saved again", "hook", w.granted, "SUCCESS", "")
	if a := w.Call(w.Admin, "GET", "/v1/job/"+w.task+"/history", ""); !strings.Contains(a.Body, `"granted"`) || !strings.Contains(a.Body, `"leaver"`) {
		t.Errorf("the history does not say who saved the task: %s", a.Body)
	}
	// Switching a task off and on is no look at it.
	ok(t, w.Client(w.Developer).DisableBuildJob, &model.DisableBuildJobRequest{JobId: w.task})
	ok(t, w.Client(w.Developer).EnableBuildJob, &model.EnableBuildJobRequest{JobId: w.task})
	expect("switched off and on by another", "hook", w.granted, "SUCCESS", "")
}

// TestRightsOfAWaitingBuild takes the right away while the build waits in the queue.
func TestRightsOfAWaitingBuild(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, oneSlot)
	starter := s.NewUser("starter")
	s.Grant(s.Project, starter, iam.Developer)
	uploadFile(t, s, starter, "own.pem", privateKey)
	c := s.Client(s.Admin)
	first := create(t, c, shell(s, "first", "sleep 600"))
	second := create(t, c, shell(s, "second", "true"))
	n := run(t, c, &model.RunJobRequestBody{JobId: first})
	awaitStatus(t, c, first, n, "RUNNING")
	waiting := run(t, s.Client(starter), &model.RunJobRequestBody{JobId: second})
	if err := s.IAM().RevokeRole(t.Context(), s.Project, starter.ID, iam.Developer); err != nil {
		t.Fatal(err)
	}
	ok(t, c.StopTheJob, &model.StopTheJobRequest{JobId: first, BuildNo: new(int32(n))})
	if r := await(t, c, second, waiting); *r.Status != "SCHEDULE_FAILURE" || *r.ErrMsg != "starter, who started the build, may not run the task any more." {
		t.Errorf("%s %s", *r.Status, *r.ErrMsg)
	}
}

// TestRightsOfCopies has somebody copy the task of another, take it out of the bin, and make it anew.
func TestRightsOfCopies(t *testing.T) {
	t.Parallel()
	w := newRightsWorld(t)
	w.save(w.granted, w.task)
	copied := *ok(t, w.Client(w.Developer).CopyJob, &model.CopyJobRequest{Body: &model.CopyBuildJobRequestBody{
		Arch: servertest.Arch, ProjectId: w.Project, CopyJobId: w.task, JobName: "copy",
	}}).Result.JobId
	n := run(t, w.Client(w.granted), &model.RunJobRequestBody{JobId: copied})
	if r, read := w.end(copied, n); read || !strings.Contains(*r.ErrMsg, "dev, who last saved the task") {
		t.Errorf("a copy: read %t, %s", read, *r.ErrMsg)
	}
	// Who takes it out of the bin has not saved it.
	ok(t, w.Client(w.Developer).DeleteBuildJob, &model.DeleteBuildJobRequest{JobId: w.task})
	ok(t, w.Client(w.Admin).RestoreRecyclingJobs, &model.RestoreRecyclingJobsRequest{Body: ids(w.task)})
	for way, want := range map[string]bool{"manual": false, "hook": true} { // by dev, and by nobody in the name of who has saved it
		if r, read := w.end(w.start(way, w.Developer)); read != want {
			t.Errorf("restored, %s: read %t, %s", way, read, *r.ErrMsg)
		}
	}
}

// TestCopiesTakeNoSecrets copies a task as somebody who may copy it and not edit it, and has the copy print the task's private value.
func TestCopiesTakeNoSecrets(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	original := shell(s, "original", "true")
	original.Parameters = &[]model.CreateBuildJobParameter{parameter("secret", privateKey, "sensitiveVar", "true")}
	job := create(t, s.Client(s.Admin), original)
	if a := s.Call(s.Admin, "POST", "/v1/job/permissions/batch", fmt.Sprintf(`{"project_id": %q, "job_ids": [%q], "permissions": [{"role_id": 4, "is_view": true, "is_copy": true}]}`, s.Project, job)); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	for name, user := range map[string]servertest.User{"no": s.Developer, "yes": s.Admin} {
		copied := *ok(t, s.Client(user).CopyJob, &model.CopyJobRequest{Body: &model.CopyBuildJobRequestBody{
			Arch: servertest.Arch, ProjectId: s.Project, CopyJobId: job, JobName: name,
			Steps: []model.CreateBuildJobSteps{{ModuleId: "sh", Name: "Run", Properties: map[string]any{"command": `echo "it is <$(printf %s "$secret" | rev)>"`}}},
		}}).Result.JobId
		n := run(t, s.Client(user), &model.RunJobRequestBody{JobId: copied})
		await(t, s.Client(user), copied, n)
		if log := logOf(t, s.Client(user), copied, n); strings.Contains(log, "it is <"+privateKeyRev+">") != (user == s.Admin) {
			t.Errorf("%s:\n%s", user.Name, log)
		}
	}
	masked := fmt.Sprintf(`{"arch": %q, "project_id": %q, "copy_job_id": %q, "job_name": "masked", "parameters": [{"name": "hudson.model.StringParameterDefinition", "params": [
		{"name": "name", "value": "secret"}, {"name": "sensitiveVar", "value": "true"}, {"name": "defaultValue", "value": "******"}]}]}`, servertest.Arch, s.Project, job)
	checkProblem(t, s, s.Call(s.Developer, "POST", "/v1/job/copy", masked), 400, "CB.00060200", "stands for the value of before, but there is none")
}

// TestTimerHasNoMaker lets a timer start a task whose maker may use a file, and who saved it last may not.
func TestTimerHasNoMaker(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	uploadFile(t, s, s.Admin, "own.pem", privateKey)
	made := shell(s, "nightly", "rev own.pem")
	made.Steps = append([]model.CreateBuildJobSteps{{ModuleId: "devcloud2018.codeci_action_20061.action", Name: "Fetch", Properties: map[string]any{"name": "own.pem"}}}, made.Steps...)
	job := create(t, s.Client(s.Admin), made)
	steps, err := json.Marshal(made.Steps)
	if err != nil {
		t.Fatal(err)
	}
	if a := s.Call(s.Developer, "POST", "/v1/job/update", fmt.Sprintf(`{"job_id": %q, "project_id": %q, "job_name": "nightly", "arch": %q, "steps": %s,
		"triggers": [{"name": "hudson.triggers.TimerTrigger", "parameters": [{"name": "spec", "value": "* * * * *"}]}]}`, job, s.Project, servertest.Arch, steps)); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(3 * time.Minute); ok(t, s.Client(s.Admin).ShowRunningStatus, &model.ShowRunningStatusRequest{JobId: job}).Result.LastBuildNo == nil; {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the timer starts nothing")
		}
	}
	r := await(t, s.Client(s.Admin), job, 1)
	if *r.TriggerType != "TIMED_EXECUTION" || *r.UserId != s.Developer.ID || *r.Status != "FAILURE" || !strings.Contains(*r.ErrMsg, `the file "own.pem" may not be used by dev, who last saved the task`) {
		t.Errorf("%+v", r)
	}
	if log := s.Call(s.Admin, "GET", "/v4/"+*r.BuildRecordId+"/download-log", "").Body; strings.Contains(log, privateKeyRev) || !strings.Contains(log, "started by nobody in person, in the name of dev, who last saved the task") {
		t.Errorf("%s", log)
	}
}

// TestRightsOfTheProject has builds use what is the project's, in the name of people who have lost their role, or never had one.
func TestRightsOfTheProject(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	leaver, runner := s.NewUser("leaver"), s.NewUser("runner")
	s.Grant(s.Project, leaver, iam.Developer)
	s.Grant(s.Project, runner, iam.Tester)
	failed := func(by servertest.User, job, words string) {
		t.Helper()
		n := run(t, s.Client(by), &model.RunJobRequestBody{JobId: job})
		if r := await(t, s.Client(s.Admin), job, n); *r.Status == "SUCCESS" || !strings.Contains(*r.ErrMsg, words) {
			t.Errorf("by %s: %s %s", by.Name, *r.Status, *r.ErrMsg)
		}
	}
	opened := fromFile(s, "opened", "https://git.example.org/a.git")
	(*opened.Scms)[0].EndPointId = new("f411faccc648483a8cbb0efb63fc1b83")
	endpoint := create(t, s.Client(leaver), opened)
	failed(s.Admin, endpoint, "the project has no service endpoint")
	if err := s.IAM().RevokeRole(t.Context(), s.Project, leaver.ID, iam.Developer); err != nil {
		t.Fatal(err)
	}
	failed(s.Admin, endpoint, "The build gets no service endpoint: leaver, who last saved the task, may not edit it now.")

	repo := s.NewRepository("download")
	repo.Write(".cloudbuild/build.yml", oneStep("download_artifact: {inputs: {url: \"https://old.example.org/"+s.Project+"/1.0/none.txt\"}}"))
	repo.Commit("init")
	download := create(t, s.Client(s.Developer), fromFile(s, "download", repo.URL()))
	if a := s.Call(s.Admin, "POST", "/v1/job/permissions/batch", fmt.Sprintf(`{"project_id": %q, "job_ids": [%q], "permissions": [{"role_id": 6, "is_view": true, "is_execute": true}]}`, s.Project, download)); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	failed(s.Developer, download, "has no file 1.0/none.txt")
	failed(runner, download, "the release repository may not be read by runner, who started the build")
}
