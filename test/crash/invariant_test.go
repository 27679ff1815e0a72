package crash_test

import (
	"database/sql"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"atelier/internal/iam/signature"
)

// nonsense is sent by somebody who may do everything. JOB stands for a task.
var nonsense = []struct{ method, path, body string }{
	{"POST", "/v1/job/execute", "{"},
	{"POST", "/v1/job/execute", `{"job_id": 12}`},
	{"POST", "/v1/job/execute", `{"job_id": "` + strings.Repeat("a", 5000) + `"}`},
	{"POST", "/v1/job/execute", strings.Repeat("[", 20_000)},
	{"POST", "/v1/job/execute", "\x00\xff\xfe"},
	{"POST", "/v1/job/execute", `{"job_id": "JOB", "scm": {"build_tag": "` + strings.Repeat("../", 100) + `"}}`},
	{"POST", "/v1/job/create", `{"job_name": "` + strings.Repeat("x", 300) + `", "steps": [null, {"properties": []}]}`},
	{"GET", "/v3/jobs/JOB/99999999999999999999/record-info", ""},
	{"GET", "/v3/jobs/%00/1/record-info", ""},
	{"GET", "/v3/jobs/JOB/1/real-time-log?offset=-1", ""},
	{"POST", "/v1/job/JOB/stop?build_no=x", ""},
}

// forbidden is what a user without a role tries.
var forbidden = []struct{ method, path, body string }{
	{"POST", "/v1/job/execute", `{"job_id": "JOB"}`},
	{"GET", "/v3/jobs/JOB/1/record-info", ""},
	{"GET", "/v3/jobs/JOB/1/real-time-log?offset=0", ""},
	{"POST", "/v1/job/JOB/stop?build_no=1", ""},
	{"POST", "/v3/jobs/JOB/1/rerun", ""},
}

// pester sends what has to be refused, again and again, for as long as the server lives.
func (h *history) pester(s *life) {
	refused := func(key signature.Key, method, path, body string) (lives bool) {
		fill := strings.NewReplacer("JOB", h.commands[0].job)
		status, answer, err := s.send(key, method, fill.Replace(path), []byte(fill.Replace(body)))
		if err != nil {
			return false // it is gone, or ended while it answered
		}
		var fault struct {
			Code string `json:"error_code"`
		}
		if _ = json.Unmarshal(answer, &fault); status < 400 || status >= 500 || fault.Code == "" {
			h.t.Errorf("%s %s %.60s is answered with %d %s", method, path, body, status, answer)
		}
		return true
	}
	pause := time.NewTicker(10 * time.Millisecond) // the server has other things to do
	defer pause.Stop()
	for i := 0; ; i++ {
		bad, try := nonsense[i%len(nonsense)], forbidden[i%len(forbidden)]
		if !refused(s.key, bad.method, bad.path, bad.body) || !refused(h.stranger, try.method, try.path, try.body) {
			return
		}
		select {
		case <-pause.C:
		case <-s.ended:
			return
		}
	}
}

// checkStop stops a build that has a process outside of its session, and looks at how long it takes.
func (h *history) checkStop(s *life) (build, record) {
	h.t.Helper()
	request := h.request(h.commands[slices.IndexFunc(h.commands, func(c command) bool { return c.stops })])
	var err error
	if request.build, err = s.tryRun(request.job, "X-Client-Token: "+request.token); err != nil {
		h.t.Fatal(err)
	}
	text, err := s.follow(request.build, func(text string) bool { return len(processLine.FindAllString(text, -1)) == 2 })
	if err != nil {
		h.t.Fatal(err)
	}
	var processes []watched
	for _, found := range processLine.FindAllStringSubmatch(text, -1) {
		processes = append(processes, watch(h.t, found[1]))
	}
	began := time.Now()
	if err := s.stopBuild(request.build); err != nil {
		h.t.Fatal(err)
	}
	r := s.awaitEnd(request.build)
	if took := time.Since(began); r.Status != "ABORTED" || took > 10*time.Second {
		h.t.Errorf("a build that is stopped is %+v after %s", r, took)
	}
	for _, p := range processes {
		p.wantGone(h.t)
	}
	wantNothingLeft(h.t, h.in)
	return request.build, r
}

// database opens the installation's database, beside the server.
func (h *history) database() (db *sql.DB, tables string) {
	h.t.Helper()
	driver, address, tables := "sqlite", filepath.Join(h.in.dir, "atelier.db"), `SELECT name FROM sqlite_master WHERE type = 'table'`
	if i := slices.Index(h.in.flags, "--database"); i >= 0 {
		driver, address, tables = "pgx", h.in.flags[i+1], `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`
	}
	db, err := sql.Open(driver, address)
	if err != nil {
		h.t.Fatal(err)
	}
	return db, tables
}

// checkSecretInTables looks for the secret in every column of every row.
func (h *history) checkSecretInTables() {
	h.t.Helper()
	db, tables := h.database()
	defer db.Close()
	names := h.texts(db, tables)
	if len(names) < 20 {
		h.t.Errorf("the database has the tables %v", names)
	}
	for _, name := range names {
		for _, text := range h.texts(db, "SELECT * FROM "+name) {
			if strings.Contains(text, h.secret) {
				h.t.Errorf("the secret is in the table %s: %s", name, text)
			}
		}
	}
}

// texts returns all that a query finds, as text.
func (h *history) texts(db *sql.DB, query string) (texts []string) {
	h.t.Helper()
	rows, err := db.QueryContext(h.t.Context(), query)
	if err != nil {
		h.t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		h.t.Fatal(err)
	}
	values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			h.t.Fatal(err)
		}
		for _, v := range values {
			texts = append(texts, v.String)
		}
	}
	if err := rows.Err(); err != nil {
		h.t.Fatal(err)
	}
	return texts
}

// checkNewer has the database be that of a newer program, which this one must leave alone, and checks that nothing is lost over it.
func (h *history) checkNewer(ends map[build]record) {
	h.t.Helper()
	db, _ := h.database()
	defer db.Close()
	const newer = "99999"
	if _, err := db.ExecContext(h.t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (`+newer+`, TRUE)`); err != nil {
		h.t.Fatal(err)
	}
	out, err := h.in.command("serve", "--listen", "127.0.0.1:0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "schema version "+newer) || !strings.Contains(string(out), "a newer Atelier has used it") {
		h.t.Errorf("a newer database is opened: %v\n%s", err, out)
	}
	if _, err := db.ExecContext(h.t.Context(), `DELETE FROM goose_db_version WHERE version_id = `+newer); err != nil {
		h.t.Fatal(err)
	}
	s := h.serve("")
	if s.url == "" {
		h.t.Fatal("the server does not start any more")
	}
	for b, was := range ends {
		if is := s.record(b); is != was {
			h.t.Errorf("build %d was %+v and is %+v", b.number, was, is)
		}
	}
	if status, answer, err := s.send(h.stranger, http.MethodGet, h.starts[0].build.path()+"/record-info", nil); err != nil || status != http.StatusNotFound {
		h.t.Errorf("a user without a role gets %d %s, %v", status, answer, err)
	}
	s.stop()
}
