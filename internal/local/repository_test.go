package local

import "testing"

func TestOneRepositoryHasManyAddresses(t *testing.T) {
	t.Parallel()
	same := func(a, b string) bool { return repository{remotes: []string{"https://other.example.org/x", a}}.has(b) }
	const remote = "git@git.example.org:team/app.git"
	for _, address := range []string{
		ownURL, remote, "git@git.example.org:team/app", "https://git.example.org/team/app.git", "https://Git.Example.org/team/app/",
		"https://user:password@git.example.org:8443/team/app", "ssh://git@git.example.org:2222/team/app.git",
	} {
		if !same(remote, address) || address != ownURL && !same(address, remote) {
			t.Errorf("%s is taken for another repository", address)
		}
	}
	for _, address := range []string{
		"", "git@git.example.org:team/app2.git", "https://git.example.com/team/app.git", "https://git.example.org/app.git", "/team/app.git",
		"file:///team/app.git",
	} {
		if same(remote, address) {
			t.Errorf("%s is taken for the repository", address)
		}
	}
	if !same("/srv/git/app.git", "file:///srv/git/app") {
		t.Error("a repository of the machine is not known by its file:// address")
	}
	if (repository{}).has("https://git.example.org/team/app.git") {
		t.Error("a directory without repository is taken for one")
	}
}
