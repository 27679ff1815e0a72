package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
)

func testVersions(t *testing.T, open Opener) {
	s := open(t)
	job := createJob(t, s, aJob(1, "app"))
	createJob(t, s, aJob(2, "other"))
	ops := build.Actor{UserID: "u2", UserName: "ops"}
	for i, flavor := range []string{"4u8g", "8u16g"} {
		_, err := s.ChangeJob(t.Context(), job.ID, ops, start.Add(time.Duration(i+1)*time.Minute), func(j *build.Job) error { j.Config.Flavor = flavor; return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	// Who saves what is there already answers for it.
	saved, err := s.ChangeJob(t.Context(), job.ID, dev, start.Add(3*time.Minute), func(j *build.Job) error {
		j.EditorID, j.EditorName = dev.UserID, dev.UserName
		return nil
	})
	if read, err2 := s.Job(t.Context(), job.ID); err != nil || err2 != nil || saved.Version != 3 || read.Version != 3 || read.Editor() != dev {
		t.Errorf("saved as it was: %+v, %v, read %+v, %v", saved, err, read.Editor(), err2)
	}
	if same, err := s.ChangeJob(t.Context(), job.ID, ops, start.Add(4*time.Minute), func(*build.Job) error { return nil }); err != nil || same.Version != 3 || same.Editor() != dev {
		t.Errorf("not saved: %+v, %v", same, err)
	}
	all := []build.Version{
		{Number: 3, UserID: "u1", UserName: "dev", SavedAt: start.Add(3 * time.Minute)},
		{Number: 2, UserID: "u2", UserName: "ops", SavedAt: start.Add(2 * time.Minute)},
		{Number: 1, UserID: "u2", UserName: "ops", SavedAt: start.Add(time.Minute)},
		{Number: 0, UserID: "u1", UserName: "dev", SavedAt: start},
	}
	for _, page := range []struct {
		offset, limit int
		want          []build.Version
	}{{0, 10, all}, {0, 2, all[:2]}, {2, 2, all[2:]}, {4, 2, nil}} {
		got, total, err := s.Versions(t.Context(), job.ID, page.offset, page.limit)
		if diff := cmp.Diff(page.want, got); err != nil || total != 4 || diff != "" {
			t.Errorf("from %d on: error %v, %d in all, difference (-want +got):\n%s", page.offset, err, total, diff)
		}
	}
}
