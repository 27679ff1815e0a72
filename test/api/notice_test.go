package api_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/iam"
	"atelier/internal/notice"
	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// mailbox is a mail server that keeps what it gets.
type mailbox struct {
	mail chan string
	from string
}

func (b *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &letter{box: b}, nil }

type letter struct {
	box *mailbox
	to  []string
}

func (l *letter) Mail(from string, _ *smtp.MailOptions) error {
	if from != l.box.from {
		return errors.New("who is that?")
	}
	return nil
}

func (l *letter) Rcpt(to string, _ *smtp.RcptOptions) error {
	l.to = append(l.to, to)
	return nil
}

func (l *letter) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	l.box.mail <- "to " + strings.Join(l.to, " ") + "\n" + string(text)
	return err
}

func (l *letter) Reset()        {}
func (l *letter) Logout() error { return nil }

// mailServer starts a mail server, and returns what a server is told of it.
func mailServer(t *testing.T) (*mailbox, *notice.MailServer) {
	t.Helper()
	box := &mailbox{mail: make(chan string, 100), from: "atelier@example.org"}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(box)
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(func() { _ = s.Close() })
	return box, &notice.MailServer{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, From: box.from, TLS: notice.NoTLS}
}

// robot is a chat service's address. It answers with the statuses that it is given, then with success, and keeps what it gets.
type robot struct {
	*httptest.Server
	got chan request

	mu       sync.Mutex
	statuses []int
}

type request struct {
	path  string
	query map[string][]string
	body  map[string]any
}

func newRobot(t *testing.T, statuses ...int) *robot {
	t.Helper()
	r := &robot{got: make(chan request, 100), statuses: statuses}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		in := request{path: q.URL.Path, query: q.URL.Query()}
		_ = json.NewDecoder(q.Body).Decode(&in.body)
		r.mu.Lock()
		if len(r.statuses) > 0 {
			w.WriteHeader(r.statuses[0])
			r.statuses = r.statuses[1:]
		}
		r.mu.Unlock()
		r.got <- in
	}))
	t.Cleanup(r.Close)
	return r
}

func receive[T any](t *testing.T, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(time.Minute):
		t.Fatalf("%s does not come", what)
		panic("unreachable")
	}
}

func mac(key, text string) string {
	m := hmac.New(sha256.New, []byte(key))
	m.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

// notify says over which channel what is told of a task.
func notify(t *testing.T, s *servertest.Server, job, channel, config string, events ...string) {
	t.Helper()
	body := &model.UpdateNoticeRequestBody{NoticeType: channel, EnabledEventTypeNames: events, SendSwitch: new("true")}
	if config != "" {
		body.ParamConfig = &config
	}
	if r := ok(t, s.Client(s.Developer).UpdateNewNoticeNew, &model.UpdateNewNoticeNewRequest{JobId: job, Body: body}); *r.Result != "" {
		t.Errorf("%+v", r)
	}
}

func startNotifying(t *testing.T, mail *notice.MailServer) *servertest.Server {
	return servertest.Start(t, func(c *server.Config) {
		c.Mail, c.NoticeNetworks = mail, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		c.NoticePauses = []time.Duration{time.Millisecond, 2 * time.Millisecond}
	})
}

// TestNotices has every channel tell of every event.
func TestNotices(t *testing.T) {
	t.Parallel()
	box, mail := mailServer(t)
	s := startNotifying(t, mail)
	c := s.Client(s.Developer)
	const key = "dont-show-this-key"
	ding, feishu, wecom := newRobot(t), newRobot(t), newRobot(t)
	task := shell(s, "demo", "echo $TOKEN; exit $CODE")
	task.Parameters = &[]model.CreateBuildJobParameter{parameter("CODE", "0", "staticVar", "true"), parameter("TOKEN", "dont-show-this-value", "sensitiveVar", "true")}
	job := create(t, c, task)
	if err := s.IAM().SetEmail(t.Context(), s.Developer.ID, "dev@example.org"); err != nil {
		t.Fatal(err)
	}
	notify(t, s, job, "mail", "", "buildJobSuccess", "buildJobFail")
	notify(t, s, job, "DING_TALK", fmt.Sprintf(`{"webhook": "%s/robot?access_token=dont-show-this-token", "secret": %q}`, ding.URL, key), "buildJobSuccess", "deleteJob")
	notify(t, s, job, "FEISHU", fmt.Sprintf(`{"webhook_url": "%s/hook/dont-show-this-token", "sign": %q}`, feishu.URL, key), "buildJobFail", "forbiddenJob")
	notify(t, s, job, "WECOM", fmt.Sprintf(`{"url": "%s/send"}`, wecom.URL), "updateConfigJob")
	notify(t, s, job, "MESSAGE", "", "buildJobSuccess", "buildJobFail", "deleteJob", "forbiddenJob", "updateConfigJob")

	run(t, c, &model.RunJobRequestBody{JobId: job})
	const success = "Build 1 of demo succeeded"
	if letter := receive(t, box.mail, "the mail"); !strings.HasPrefix(letter, "to dev@example.org\n") || !strings.Contains(letter, "Subject: "+success) || !strings.Contains(letter, "Started by dev, over at ") {
		t.Errorf("the mail is\n%s", letter)
	}
	got := receive(t, ding.got, "the message to DingTalk")
	stamp := got.query["timestamp"][0]
	if at, err := strconv.ParseInt(stamp, 10, 64); err != nil || time.Since(time.UnixMilli(at)).Abs() > time.Hour || got.query["sign"][0] != mac(key, stamp+"\n"+key) ||
		got.query["access_token"][0] != "dont-show-this-token" || got.body["msgtype"] != "text" || !strings.Contains(fmt.Sprint(got.body["text"]), success) {
		t.Errorf("DingTalk got %+v: %v", got, err)
	}
	run(t, c, &model.RunJobRequestBody{JobId: job, Parameter: &[]model.ParameterItem{{Name: "CODE", Value: "3"}}})
	got = receive(t, feishu.got, "the message to Feishu")
	if stamp := fmt.Sprint(got.body["timestamp"]); got.path != "/hook/dont-show-this-token" || got.body["sign"] != mac(stamp+"\n"+key, "") || got.body["msg_type"] != "text" ||
		!strings.Contains(fmt.Sprint(got.body["content"]), `Build 2 of demo failed`) || !strings.Contains(fmt.Sprint(got.body["content"]), `Step "Run" failed with exit code 3.`) {
		t.Errorf("Feishu got %+v", got)
	}
	receive(t, box.mail, "the second mail")
	ok(t, c.UpdateNewJob, &model.UpdateNewJobRequest{Body: &model.UpdateBuildJobRequestBody{
		JobId: job, ProjectId: s.Project, JobName: "renamed", Arch: servertest.Arch, Steps: []model.UpdateBuildJobSteps{},
	}})
	if got := receive(t, wecom.got, "the message to WeCom"); !strings.Contains(fmt.Sprint(got.body["text"]), "Build task renamed was changed by dev at ") {
		t.Errorf("WeCom got %+v", got)
	}
	ok(t, c.DisableTheJob, &model.DisableTheJobRequest{JobId: job, Body: &model.DisableTheJobRequestBody{Disabled: true}})
	ok(t, c.DisableTheJob, &model.DisableTheJobRequest{JobId: job, Body: &model.DisableTheJobRequestBody{Disabled: true}}) // which changes nothing
	if got := receive(t, feishu.got, "the second message to Feishu"); !strings.Contains(fmt.Sprint(got.body["content"]), "was disabled by dev") {
		t.Errorf("Feishu got %+v", got)
	}
	testNoticeSettings(t, s, job)
	ok(t, c.DeleteTheJob, &model.DeleteTheJobRequest{JobId: job})
	if got := receive(t, ding.got, "the last message to DingTalk"); !strings.Contains(fmt.Sprint(got.body["text"]), "was deleted by dev") {
		t.Errorf("DingTalk got %+v", got)
	}
	testMessages(t, s)
	checkFiles(t, s, "dont-show-this")
	if n := len(box.mail) + len(ding.got) + len(feishu.got) + len(wecom.got); n > 0 {
		t.Errorf("%d notices more than there ought to be", n)
	}
}

// testNoticeSettings reads the settings that TestNotices has made, and switches one channel off.
func testNoticeSettings(t *testing.T, s *servertest.Server, job string) {
	c := s.Client(s.Developer)
	read := func(items []model.QueryJobNoticeItems) map[string]string {
		out := make(map[string]string)
		for _, i := range items {
			if len(i.EnableMap) != 5 {
				t.Errorf("%s has the events %v", *i.NoticeType, i.EnableMap)
			}
			config := ""
			if i.ParamConfig != nil {
				config = *i.ParamConfig
			}
			out[*i.NoticeType] = fmt.Sprintf("%t %t %s", i.EnableMap["buildJobSuccess"], i.EnableMap["deleteJob"], config)
		}
		return out
	}
	want := map[string]string{"MESSAGE": "true true ", "MAIL": "true false ", "WECOM": "false false ******", "DING_TALK": "true true ******", "FEISHU": "false false ******"}
	if diff := cmp.Diff(want, read(*ok(t, c.ListNotice, &model.ListNoticeRequest{JobId: job}).Result)); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	ok(t, c.DisableNotice, &model.DisableNoticeRequest{JobId: job, NoticeType: "mail"})
	ok(t, c.UpdateNotice, &model.UpdateNoticeRequest{JobId: job, Body: &model.UpdateNoticeRequestBody{NoticeType: "ding_talk", EnabledEventTypeNames: []string{"deleteJob"}, ParamConfig: new("******")}})
	want["MAIL"], want["DING_TALK"] = "false false ", "false true ******"
	if diff := cmp.Diff(want, read(*ok(t, c.ShowJobNoticeConfigInfo, &model.ShowJobNoticeConfigInfoRequest{JobId: job}).Result)); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

// testMessages reads the system messages that TestNotices has caused.
func testMessages(t *testing.T, s *servertest.Server) {
	type page struct {
		Result struct {
			Messages []struct {
				ID       string
				Title    string
				ReadTime *string `json:"read_time"`
			}
			Total, Unread int
		}
	}
	var all page
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); all.Result.Total < 5; {
		all = decoded[page](t, s.Call(s.Developer, "GET", "/v1/messages?page_size=100", "").Body)
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("there are only %+v", all.Result)
		}
	}
	titles := make(map[string]bool)
	for _, m := range all.Result.Messages {
		titles[m.Title] = true
	}
	want := map[string]bool{"Build 1 of demo succeeded": true, "Build 2 of demo failed": true, "Build task renamed was changed": true, "Build task renamed was disabled": true, "Build task renamed was deleted": true}
	if diff := cmp.Diff(want, titles); diff != "" || all.Result.Unread != 5 {
		t.Errorf("%d unread; messages (-want +got):\n%s", all.Result.Unread, diff)
	}
	id := all.Result.Messages[0].ID
	if a := s.Call(s.Developer, "POST", "/v1/messages/"+id+"/read", ""); a.Status != 200 {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if after := decoded[page](t, s.Call(s.Developer, "GET", "/v1/messages?page_size=1", "").Body); after.Result.Unread != 4 || len(after.Result.Messages) != 1 || after.Result.Messages[0].ReadTime == nil {
		t.Errorf("after one was read: %+v", after.Result)
	}
	checkProblem(t, s, s.Call(s.NewUser("stranger"), "POST", "/v1/messages/"+id+"/read", ""), 404, "DEVCB.00031006", "does not exist")
	checkProblem(t, s, s.Call(s.Developer, "GET", "/v1/messages?page_no=0", ""), 400, "CB.00060200", "page_no: must be a whole number from 1")
}

// TestNoticeTries: a robot that fails twice gets the notice all the same; one that fails for good gets it three times.
func TestNoticeTries(t *testing.T) {
	t.Parallel()
	s := startNotifying(t, nil)
	c := s.Client(s.Developer)
	slow, dead := newRobot(t, 500, 503), newRobot(t, 500, 500, 500, 500, 500)
	job := create(t, c, shell(s, "demo", "true"))
	notify(t, s, job, "WECOM", fmt.Sprintf(`{"webhook": %q}`, slow.URL), "buildJobSuccess")
	notify(t, s, job, "FEISHU", fmt.Sprintf(`{"webhook": %q}`, dead.URL), "buildJobSuccess")
	notify(t, s, job, "MAIL", "", "buildJobSuccess") // there is no mail server, which keeps nothing else
	run(t, c, &model.RunJobRequestBody{JobId: job})
	for i := range 3 {
		receive(t, slow.got, fmt.Sprintf("try %d", i+1))
		receive(t, dead.got, fmt.Sprintf("try %d of the dead one", i+1))
	}
	run(t, c, &model.RunJobRequestBody{JobId: job}) // whose notices come after all tries of the first
	if got := receive(t, slow.got, "the second build"); !strings.Contains(fmt.Sprint(got.body), "Build 2") {
		t.Errorf("a fourth try: %+v", got)
	}
	if got := receive(t, dead.got, "the second build, at the dead one"); !strings.Contains(fmt.Sprint(got.body), "Build 2") {
		t.Errorf("a fourth try at the dead one: %+v", got)
	}
}

// TestProjectNotices: what a project sets counts for the tasks that follow it, and for no others.
func TestProjectNotices(t *testing.T) {
	t.Parallel()
	s := startNotifying(t, nil)
	c := s.Client(s.Developer)
	robot := newRobot(t)
	path := "/v1/projects/" + s.Project + "/notice"
	config, err := json.Marshal(fmt.Sprintf(`{"webhook": "%s/send?key=dont-show-this"}`, robot.URL))
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"notice_type": "WECOM", "enabled_event_type_names": ["buildJobSuccess", "deleteJob"], "param_config": %s}`, config)
	checkProblem(t, s, s.Call(s.Developer, "PUT", path, body), 403, "DEVCB.00031001", "assign permissions")
	checkProblem(t, s, s.Call(s.NewUser("stranger"), "GET", path, ""), 404, "DEVCB.00031006", "does not exist")
	checkProblem(t, s, s.Call(s.Admin, "PUT", path, strings.Replace(body, "{", `{"use_project_notice": "true", `, 1)), 400, "CB.00060200", "use_project_notice: must not be true for a project")
	checkProblem(t, s, s.Call(s.Admin, "PUT", path, `{"notice_type": "WECOM", "enabled_event_type_names": ["deleteJob"]}`), 400, "CB.00060200", "param_config: is missing")
	follower, other := create(t, c, shell(s, "follower", "true")), create(t, c, shell(s, "other", "true"))
	for _, use := range []string{"true", "false"} {
		r := ok(t, c.UpdateNewNoticeNew, &model.UpdateNewNoticeNewRequest{JobId: map[string]string{"true": follower, "false": other}[use], Body: &model.UpdateNoticeRequestBody{
			NoticeType: "WECOM", EnabledEventTypeNames: []string{}, UseProjectNotice: &use,
		}})
		if *r.Status != "success" {
			t.Errorf("%+v", r)
		}
	}
	if a := s.Call(s.Admin, "PUT", path, body); a.Status != 200 {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	const set = `"notice_type":"WECOM","enable_map":{"buildJobFail":false,"buildJobSuccess":true,"deleteJob":true,"forbiddenJob":false,"updateConfigJob":false},"param_config":"******"`
	for path, want := range map[string]string{path: set + "}", "/v1/job/" + follower + "/notice": set + `,"use_project_notice":true}`} {
		if a := s.Call(s.Developer, "GET", path, ""); !strings.Contains(a.Body, want) || strings.Contains(a.Body, "dont-show-this") {
			t.Errorf("%s: %s", path, a.Body)
		}
	}
	if a := s.Call(s.Developer, "GET", "/v1/job/"+other+"/notice", ""); strings.Contains(a.Body, ":true") {
		t.Errorf("%s", a.Body)
	}
	run(t, c, &model.RunJobRequestBody{JobId: other})
	run(t, c, &model.RunJobRequestBody{JobId: follower})
	if got := receive(t, robot.got, "the message"); !strings.Contains(fmt.Sprint(got.body), "Build 1 of follower succeeded") {
		t.Errorf("%+v", got)
	}
	ok(t, c.DisableNotice, &model.DisableNoticeRequest{JobId: follower, NoticeType: "wecom"})
	ok(t, c.DeleteTheJob, &model.DeleteTheJobRequest{JobId: follower})
	checkFiles(t, s, "dont-show-this")
	if len(robot.got) > 0 {
		t.Errorf("got also %+v", <-robot.got)
	}
}

// TestWhoIsTold: who made the task, who ran it, and those who like it; of them, those who may view it.
func TestWhoIsTold(t *testing.T) {
	t.Parallel()
	box, mail := mailServer(t)
	s := startNotifying(t, mail)
	c := s.Client(s.Developer)
	job := create(t, c, shell(s, "demo", "true"))
	runner, fan, idle, gone, left := s.NewUser("runner"), s.NewUser("fan"), s.NewUser("idle"), s.NewUser("gone"), s.NewUser("left")
	for user, role := range map[servertest.User]iam.Role{runner: iam.Developer, fan: iam.Viewer, idle: iam.Viewer, gone: iam.Viewer, left: iam.Viewer} {
		s.Grant(s.Project, user, role)
		if err := s.IAM().SetEmail(t.Context(), user.ID, user.Name+"@example.org"); err != nil {
			t.Fatal(err)
		}
	}
	for _, user := range []servertest.User{fan, gone, left} {
		ok(t, s.Client(user).AddFavouriteTask, &model.AddFavouriteTaskRequest{JobId: job})
	}
	if err := errors.Join(s.IAM().SetUserEnabled(t.Context(), gone.ID, false), s.IAM().RevokeRole(t.Context(), s.Project, left.ID, iam.Viewer)); err != nil {
		t.Fatal(err)
	}
	notify(t, s, job, "MESSAGE", "", "buildJobSuccess")
	notify(t, s, job, "MAIL", "", "buildJobSuccess")
	run(t, s.Client(runner), &model.RunJobRequestBody{JobId: job})
	if letter, _, _ := strings.Cut(receive(t, box.mail, "the mail"), "\n"); letter != "to fan@example.org runner@example.org" && letter != "to runner@example.org fan@example.org" {
		t.Errorf("the mail goes %s", letter)
	}
	count := func(user servertest.User) int {
		return decoded[struct{ Result struct{ Total int } }](t, s.Call(user, "GET", "/v1/messages", "").Body).Result.Total
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(time.Minute); count(fan) == 0; { // in one transaction with those of all others
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("who likes the task has no message")
		}
	}
	if got := []int{count(s.Developer), count(runner), count(idle), count(left)}; !slices.Equal(got, []int{1, 1, 0, 0}) {
		t.Errorf("the maker, who started it, an idler and one who has left the project have %d messages", got)
	}
}

// TestSilentRobot: an address that never answers holds up no notice of others.
func TestSilentRobot(t *testing.T) {
	t.Parallel()
	s := startNotifying(t, nil)
	c := s.Client(s.Developer)
	called := make(chan struct{}, 10)
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		called <- struct{}{}
		<-r.Context().Done()
	}))
	t.Cleanup(silent.CloseClientConnections)
	t.Cleanup(s.Stop) // first, since it waits for an answer
	robot := newRobot(t)
	quiet, loud := create(t, c, shell(s, "quiet", "true")), create(t, c, shell(s, "loud", "true"))
	notify(t, s, quiet, "WECOM", fmt.Sprintf(`{"webhook": %q}`, silent.URL), "buildJobSuccess")
	notify(t, s, loud, "WECOM", fmt.Sprintf(`{"webhook": %q}`, robot.URL), "buildJobSuccess")
	for range 3 {
		run(t, c, &model.RunJobRequestBody{JobId: quiet})
	}
	receive(t, called, "the first notice")
	run(t, c, &model.RunJobRequestBody{JobId: loud})
	if got := receive(t, robot.got, "the other notice"); !strings.Contains(fmt.Sprint(got.body), "Build 1 of loud succeeded") {
		t.Errorf("%+v", got)
	}
	if len(called) > 0 {
		t.Error("the silent one is called while it keeps silent")
	}
}

// TestNoticeAfterRestart: what was not sent when the server stopped is sent when it is back.
func TestNoticeAfterRestart(t *testing.T) {
	t.Parallel()
	s := startNotifying(t, nil)
	c := s.Client(s.Developer)
	stuck, release := make(chan struct{}, 10), make(chan struct{})
	robot := newRobot(t)
	handler := robot.Config.Handler
	robot.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
			handler.ServeHTTP(w, r)
		default:
			_, _ = io.Copy(io.Discard, r.Body) // or nobody would notice that the client has gone
			stuck <- struct{}{}
			<-r.Context().Done() // the server gives up when it stops
		}
	})
	job := create(t, c, shell(s, "demo", "true"))
	notify(t, s, job, "WECOM", fmt.Sprintf(`{"webhook": %q}`, robot.URL), "buildJobSuccess")
	run(t, c, &model.RunJobRequestBody{JobId: job})
	receive(t, stuck, "the first try")
	s.Stop()
	close(release)
	s.Restart()
	if got := receive(t, robot.got, "the notice"); !strings.Contains(fmt.Sprint(got.body), "Build 1 of demo succeeded") {
		t.Errorf("%+v", got)
	}
}

// TestWebhooks tries addresses of robots.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	s := startNotifying(t, nil)
	c := s.Client(s.Developer)
	job := create(t, c, shell(s, "demo", "true"))
	robot, redirecting := newRobot(t), newRobot(t, 302)
	check := func(channel, address string) *model.CheckWebhookUrlRequest {
		return &model.CheckWebhookUrlRequest{Body: &model.CheckWebhookUrlRequestBody{JobId: job, NoticeType: channel, WebhookUrl: address}}
	}
	ok(t, c.CheckWebhookUrl, check("DING_TALK", robot.URL+"/robot?access_token=x"))
	if got := receive(t, robot.got, "the message"); !strings.Contains(fmt.Sprint(got.body["text"]), "dev tries the notices of build task demo") {
		t.Errorf("%+v", got)
	}
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"errcode": 310000, "errmsg": "keywords not in content"}`)
	}))
	t.Cleanup(refusing.Close)
	for address, words := range map[string]string{
		"":                        "webhook_url: has no address",
		"ftp://example.org/a":     "must begin with https:// or http://",
		"https://u:p@example.org": "must not hold a user name",
		"https://":                "not a well-formed URL",
		"http://[::1]:9/a":        "it leads to this server or to a network that is closed",
		"http://169.254.169.254/": "it leads to this server or to a network that is closed",
		"http://10.0.0.1/":        "it leads to this server or to a network that is closed",
		redirecting.URL:           "the answer was 302",
		refusing.URL:              "the chat service refused it: 310000 keywords not in content",
	} {
		refused(t, c.CheckWebhookUrl, check("WECOM", address), 400, "CB.00060200", words)
	}
	refused(t, c.CheckWebhookUrl, check("MAIL", robot.URL), 400, "CB.00060200", "notice_type: must be WECOM, DING_TALK or FEISHU")

	update := func(body string) string { return strings.ReplaceAll(body, "'", `"`) }
	for _, r := range []badRequest{
		invalid("channel", "PUT", "/v1/job/"+job+"/notice", update(`{'notice_type': 'PIGEON', 'enabled_event_type_names': []}`), "notice_type: must be MESSAGE, MAIL, WECOM, DING_TALK or FEISHU"),
		invalid("no events", "PUT", "/v1/job/"+job+"/notice", update(`{'notice_type': 'MAIL'}`), "enabled_event_type_names: is missing"),
		invalid("event", "PUT", "/v1/job/"+job+"/notice", update(`{'notice_type': 'MAIL', 'enabled_event_type_names': ['lunch']}`), "enabled_event_type_names: must be some of"),
		invalid("no robot", "PUT", "/v1/job/"+job+"/notice", update(`{'notice_type': 'WECOM', 'enabled_event_type_names': ['deleteJob']}`), "param_config: is missing"),
		invalid("config", "PUT", "/v1/job/"+job+"/notice", update(`{'notice_type': 'WECOM', 'enabled_event_type_names': ['deleteJob'], 'param_config': 'x'}`), "param_config: must be JSON"),
		invalid("receiver", "PUT", "/v1/job/"+job+"/notice", `{"notice_type": "MAIL", "enabled_event_type_names": ["deleteJob"], "param_config": "{\"eventTypeNamesReceivers\": {\"deleteJob\": [\"nobody\"]}}"}`, `param_config: "nobody" is not the address of a mailbox`),
		invalid("disable", "POST", "/v3/jobs/notice/"+job+"/disable", "", "notice_type: is missing"),
	} {
		t.Run(r.name, func(t *testing.T) {
			checkProblem(t, s, s.Call(s.Developer, r.method, r.path, r.body), r.status, r.code, r.words...)
		})
	}
}
