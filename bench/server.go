package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	_ "modernc.org/sqlite" // registers the driver "sqlite"
)

// build makes the program as a release has it.
func (b *bench) build(ctx context.Context) error {
	b.binary = filepath.Join(b.dir, "atelier")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", b.binary, "./cmd/atelier")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

// server is a running Atelier with a user and a project.
type server struct {
	bench   *bench
	data    string
	cmd     *exec.Cmd
	url     string
	project string
	token   string
}

const benchPassword = "a password for one run"

// serve starts a server on a free port.
func (b *bench) serve(ctx context.Context, name string, flags ...string) (*server, error) {
	s := &server{bench: b, data: filepath.Join(b.dir, name)}
	if err := os.MkdirAll(s.data, 0o700); err != nil {
		return nil, err
	}
	password := filepath.Join(s.data, "password")
	if err := os.WriteFile(password, []byte(benchPassword), 0o600); err != nil {
		return nil, err
	}
	if err := s.start(ctx, append(flags, "--admin-password-file", password)...); err != nil {
		return nil, err
	}
	id, err := s.admin(ctx, "project", "create", "bench")
	if err != nil {
		return nil, err
	}
	s.project = strings.TrimSpace(id)
	return s, s.signIn(ctx)
}

// start starts the process and waits until it says where it listens.
func (s *server) start(ctx context.Context, flags ...string) error {
	log, err := os.Create(filepath.Join(s.data, "server.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.CommandContext(ctx, s.bench.binary, append([]string{"serve", "--listen", "127.0.0.1:0", "--data-dir", s.data, "--log-format", "json"}, flags...)...)
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.Stderr = log
	if err := s.cmd.Start(); err != nil {
		return err
	}
	for range 2000 {
		data, err := os.ReadFile(log.Name())
		if err != nil {
			return err
		}
		for line := range bytes.Lines(data) {
			var entry struct{ Msg, URL string }
			if json.Unmarshal(line, &entry) == nil && entry.Msg == "listening" {
				s.url = entry.URL
				return nil
			}
		}
		time.Sleep(time.Millisecond)
	}
	return errors.New("the server did not start")
}

// stop ends the process. How it ends is not what is measured.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

func (s *server) admin(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, s.bench.binary, append(append([]string{"admin"}, args...), "--data-dir", s.data)...)
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("admin %v: %w", args, err)
	}
	return string(out), nil
}

func (s *server) signIn(ctx context.Context) error {
	body := `{"auth":{"identity":{"methods":["password"],"password":{"user":{"name":"admin","password":"` + benchPassword +
		`","domain":{"name":"atelier"}}}},"scope":{"project":{"name":"cn-north-4"}}}}`
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v3/auth/tokens", strings.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if s.token = answer.Header.Get("X-Subject-Token"); s.token == "" {
		return fmt.Errorf("sign in: %s", answer.Status)
	}
	return nil
}

// call sends a request and decodes the answer into out.
func (s *server) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, body)
	if err != nil {
		return err
	}
	r.Header.Set("X-Auth-Token", s.token)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, data)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

// makeTask creates a task with one shell step and no repository.
func (s *server) makeTask(ctx context.Context, name, command string) (string, error) {
	return s.makeTaskOf(ctx, "sh", name, command)
}

// makeTaskOf creates a task with one step of any keyword that has commands.
func (s *server) makeTaskOf(ctx context.Context, keyword, name, command string) (string, error) {
	var made struct {
		Result struct {
			JobID string `json:"job_id"`
		} `json:"result"`
	}
	err := s.call(ctx, http.MethodPost, "/v1/job/create", map[string]any{
		"project_id": s.project, "job_name": name, "arch": arch(), "build_config_type": "ACTION",
		"steps": []any{map[string]any{"module_id": keyword, "name": "Run", "enable": true, "properties": map[string]any{"command": command}}},
	}, &made)
	return made.Result.JobID, err
}

// copyRecords fills the history of a job up to n builds with copies of its first one, which has ended. The server is not running.
func (s *server) copyRecords(ctx context.Context, job string, n int) error {
	db, err := sql.Open("sqlite", filepath.Join(s.data, "atelier.db")+"?_pragma=synchronous(OFF)&_pragma=journal_mode(WAL)")
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, `SELECT name FROM pragma_table_info('records')`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var columns, values []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		columns = append(columns, name)
		switch name {
		case "id":
			values = append(values, `printf('00000000-0000-7000-8000-%012d', n.value)`)
		case "number":
			values = append(values, "n.value")
		case "created_at":
			values = append(values, "created_at + n.value")
		default:
			values = append(values, name)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	statement := fmt.Sprintf(`WITH RECURSIVE n(value) AS (SELECT 2 UNION ALL SELECT value + 1 FROM n WHERE value < ?)
		INSERT INTO records (%s) SELECT %s FROM n, (SELECT * FROM records WHERE job_id = ? AND number = 1) one`,
		strings.Join(columns, ", "), strings.Join(values, ", "))
	if _, err := db.ExecContext(ctx, statement, n, job); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `UPDATE jobs SET last_number = ? WHERE id = ?`, n, job)
	return err
}
