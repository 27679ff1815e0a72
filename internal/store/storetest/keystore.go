package storetest

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"atelier/internal/fault"
	"atelier/internal/keystore"
)

func aFile(id, name string) (keystore.File, keystore.Grant) {
	f := keystore.File{
		ID: id, DomainID: "d1", Name: name, Description: "for signing", CreatorID: worker.ID, CreatorName: worker.Name, UpdaterID: worker.ID, UpdaterName: worker.Name,
		CreatedAt: start, UpdatedAt: start,
	}
	return f, keystore.Grant{ID: "grant-" + id, FileID: id, UserID: worker.ID, UserName: worker.Name, Rights: keystore.Rights{Use: true, Assign: true}, Creator: true, Fixed: true}
}

func testKeystore(t *testing.T, open Opener) {
	s := peopled(t, open)
	ctx := t.Context()
	add := func(id, name string, most int) error {
		f, g := aFile(id, name)
		return s.AddKeystoreFile(ctx, f, "sealed "+id, g, most)
	}
	check(t, add("f1", "b.xml", 2))
	check(t, add("f2", "A.pem", 2))
	wantKind(t, add("f3", "c.xml", 2), fault.Limit)
	wantKind(t, add("f3", "b.xml", 9), fault.Exists)

	want, grant := aFile("f1", "b.xml")
	f, rights, err := s.KeystoreFile(ctx, "d1", "f1", worker.ID)
	wantEqual(t, "a file", f, want, err)
	wantEqual(t, "its creator's rights", rights, grant.Rights, nil)
	f, rights, err = s.KeystoreFileNamed(ctx, "d1", "b.xml", admin.ID)
	wantEqual(t, "a file by name", f, want, err)
	wantEqual(t, "a stranger's rights", rights, keystore.Rights{}, nil)
	_, _, err = s.KeystoreFile(ctx, "d2", "f1", worker.ID)
	wantKind(t, err, fault.NotFound)
	if sealed, err := s.KeystoreContent(ctx, "f1"); err != nil || sealed != "sealed f1" {
		t.Errorf("content %q, %v", sealed, err)
	}

	want.Description, want.Shared, want.UpdaterName = "changed", true, "admin"
	check(t, s.UpdateKeystoreFile(ctx, want))
	f, _, err = s.KeystoreFile(ctx, "d1", "f1", worker.ID)
	wantEqual(t, "a changed file", f, want, err)
	clash := want
	clash.Name = "A.pem"
	wantKind(t, s.UpdateKeystoreFile(ctx, clash), fault.Exists)
	files, err := s.KeystoreFiles(ctx, "d1", worker.ID, "XM")
	wantEqual(t, "the files with XM", files, []keystore.Seen{{File: want, Rights: grant.Rights}}, err)

	second := keystore.Grant{ID: "g2", FileID: "f1", UserID: admin.ID, UserName: "admin", Rights: keystore.Rights{Modify: true}}
	check(t, s.AddGrant(ctx, second))
	again := second
	again.ID = "g3"
	wantKind(t, s.AddGrant(ctx, again), fault.Exists)
	second.Rights = keystore.Rights{Use: true, Delete: true}
	check(t, s.UpdateGrant(ctx, second))
	grants, total, err := s.Grants(ctx, "f1", 0, 10)
	wantEqual(t, "the grants", grants, []keystore.Grant{grant, second}, err)
	if page, _, err := s.Grants(ctx, "f1", 1, 1); err != nil || total != 2 || cmp.Diff([]keystore.Grant{second}, page) != "" {
		t.Errorf("the second page of %d: %v, %v", total, page, err)
	}
	check(t, s.DeleteGrant(ctx, "g2"))
	wantKind(t, s.DeleteGrant(ctx, "g2"), fault.NotFound)
	wantKind(t, s.UpdateGrant(ctx, second), fault.NotFound)
	_, err = s.Grant(ctx, "g2")
	wantKind(t, err, fault.NotFound)
	check(t, s.DeleteKeystoreFile(ctx, "f1"))
	wantKind(t, s.DeleteKeystoreFile(ctx, "f1"), fault.NotFound)
	_, err = s.Grant(ctx, grant.ID)
	wantKind(t, err, fault.NotFound)

	// The limit holds also for those who come at once.
	var wait sync.WaitGroup
	for _, name := range []string{"1", "2", "3", "4", "5", "6"} {
		wait.Go(func() { _ = add(name, name+".key", 3) })
	}
	wait.Wait()
	if files, err := s.KeystoreFiles(ctx, "d1", worker.ID, ""); err != nil || len(files) != 3 {
		t.Errorf("of at most 3 there are %d, %v", len(files), err)
	}
}
