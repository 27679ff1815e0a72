package attack_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"

	"atelier/internal/server"
	"atelier/internal/server/servertest"
)

// uploaded starts a server with a build that has uploaded three files, and returns where these are. They look as if they had
// been uploaded yesterday.
func uploaded(t *testing.T) (s *servertest.Server, files func() []string) {
	t.Helper()
	s = servertest.Start(t)
	task := makeUploadTask(t, s, "app", "mkdir out; for i in 1 2 3; do echo $i > out/f$i; done", "out/*")
	if status, log := runBuild(t, s, task); status != "SUCCESS" {
		t.Fatalf("%s\n%s", status, log)
	}
	files = func() (names []string) {
		entries, err := os.ReadDir(filepath.Join(s.Config.DataDir, "artifacts"))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
		return names
	}
	yesterday := time.Now().Add(-25 * time.Hour)
	for _, name := range files() {
		if err := os.Chtimes(filepath.Join(s.Config.DataDir, "artifacts", name), yesterday, yesterday); err != nil {
			t.Fatal(err)
		}
	}
	if len(files()) != 3 {
		t.Fatalf("there are the files %v", files())
	}
	return s, files
}

// makeUploadTask makes a task that runs a command and uploads the files that match a pattern, as version 1.
func makeUploadTask(t *testing.T, s *servertest.Server, name, command, pattern string) string {
	t.Helper()
	made, err := s.Client(s.Developer).CreateNewJob(&model.CreateNewJobRequest{Body: &model.CreateBuildJobRequestBody{
		JobName: name, ProjectId: s.Project, Arch: servertest.Arch,
		Steps: []model.CreateBuildJobSteps{
			{ModuleId: "sh", Name: "Make", Properties: map[string]any{"command": command}},
			{ModuleId: "devcloud2018.codeci_action_20018.action", Name: "Upload", Properties: map[string]any{"file": pattern, "buildVersion": "1"}},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return *made.Result.JobId
}

// TestOtherDatabase starts a server with a database that is not that of its data directory: by a wrong name, emptied, lost. It
// does not start, and if somebody says that it shall, nothing of what builds have uploaded goes.
func TestOtherDatabase(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, c *server.Config){
		"a wrong name": func(t *testing.T, c *server.Config) { c.Database = "sqlite:" + filepath.Join(c.DataDir, "other.db") },
		"emptied": func(t *testing.T, c *server.Config) {
			if err := os.Truncate(filepath.Join(c.DataDir, "atelier.db"), 0); err != nil {
				t.Fatal(err)
			}
		},
		"lost, with all that says whose the files are": func(t *testing.T, c *server.Config) {
			if err := errors.Join(os.Remove(filepath.Join(c.DataDir, "atelier.db")), os.Remove(filepath.Join(c.DataDir, "database.id"))); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, files := uploaded(t)
			before := files()
			s.Stop()
			change(t, &s.Config)
			if started, err := server.Open(t.Context(), s.Config); err == nil || !strings.Contains(err.Error(), "is empty") {
				t.Errorf("a server starts with %s: %v", s.Config.Database, err)
				if err == nil {
					_ = started.Close()
				}
			}
			s.Config.NewDatabase = true
			s.Restart()
			if _, err := s.IAM().Bootstrap(t.Context(), servertest.Domain, "admin", servertest.Password, servertest.Region); err != nil {
				t.Fatal(err)
			}
			s.Restart() // the first sweep of the life before is over
			s.Stop()
			if after := files(); !slices.Equal(before, after) {
				t.Errorf("there were the files %v and are %v", before, after)
			}
		})
	}
}

// TestOlderDatabase restores a backup that is older than the uploads.
func TestOlderDatabase(t *testing.T) {
	t.Parallel()
	s, files := uploaded(t)
	before := files()
	backup := t.TempDir()
	s.Stop()
	database := filepath.Join(s.Config.DataDir, "atelier.db")
	copyFile(t, database, filepath.Join(backup, "atelier.db"))
	s.Restart()
	task := s.MakeTask("later", "echo later")
	runBuild(t, s, task)
	logs := func() []string {
		found, err := filepath.Glob(filepath.Join(s.Config.DataDir, "logs", "??", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	logged := logs()
	s.Stop()
	copyFile(t, filepath.Join(backup, "atelier.db"), database)
	s.Restart()
	if number := startBuild(t, s, s.MakeTask("later", "echo again")); number != 1 {
		t.Errorf("the first build after the backup has the number %d", number)
	}
	s.Restart()
	if after := files(); !slices.Equal(before, after) {
		t.Errorf("there were the files %v and are %v", before, after)
	}
	for _, log := range logged {
		if !slices.Contains(logs(), log) {
			t.Errorf("the log %s is gone", log)
		}
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
