package build_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/build"
)

func TestReady(t *testing.T) {
	t.Parallel()
	job := func(name string, state build.State, dependsOn ...string) build.FlowJob {
		j := build.FlowJob{Name: name, DependsOn: dependsOn}
		if state != "" {
			j.Child = build.Record{State: state}
		}
		return j
	}
	skipped := build.FlowJob{Name: "skipped", Skipped: true}
	for _, tt := range []struct {
		name string
		flow []build.FlowJob
		want []string
	}{
		{"those that depend on nothing", []build.FlowJob{job("a", ""), job("b", ""), job("c", "", "a")}, []string{"a", "b"}},
		{"none that has begun", []build.FlowJob{job("a", build.Queued), job("b", build.Failed), job("c", build.Succeeded)}, nil},
		{"all must have succeeded", []build.FlowJob{job("a", build.Succeeded), job("b", build.Running), job("c", "", "a", "b"), job("d", "", "a")}, []string{"d"}},
		{"a failure is none", []build.FlowJob{job("a", build.Failed), job("b", "", "a")}, nil},
		{"a stop is none", []build.FlowJob{job("a", build.Aborted), job("b", "", "a")}, nil},
		{"a skipped job counts", []build.FlowJob{skipped, job("b", "", "skipped")}, []string{"b"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, j := range build.Ready(tt.flow) {
				got = append(got, j.Name)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("difference (-want +got):\n%s", diff)
			}
		})
	}
}
