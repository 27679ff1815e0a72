package iam_test

import (
	"net/http"
	"testing"

	"atelier/internal/build"
	"atelier/internal/iam"
)

func BenchmarkByToken(b *testing.B) {
	s := setup(b)
	token := s.issue(s.login(s.dev))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.ByToken(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAuthenticateByTokenInParallel(b *testing.B) {
	s := setup(b)
	r := s.signed(s.newKey(s.dev))
	r.Header = http.Header{"X-Auth-Token": {s.issue(s.login(s.dev))}}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Authenticate(b.Context(), r, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkBySignature(b *testing.B) {
	s := setup(b)
	r := s.signed(s.newKey(s.dev), "X-Project-Id", s.region.ID)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Authenticate(b.Context(), r, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	s := setup(b)
	p := s.project("one", iam.User{})
	s.check(s.GrantRole(b.Context(), p.ID, s.dev.ID, iam.Developer))
	who, ref := actor(s.dev), build.JobRef{ID: "j1", ProjectID: build.ProjectID(p.ID), CreatorID: "somebody"}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Check(b.Context(), who, ref, build.View); err != nil {
			b.Fatal(err)
		}
	}
}
