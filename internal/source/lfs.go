package source

import (
	"cmp"
	"context"
	"encoding/json"
	"net/url"
	"strings"

	"atelier/internal/fault"
)

// findLFS makes sure that git-lfs is there before anything is fetched.
func (k *checkout) findLFS(ctx context.Context) error {
	_, exit, err := k.capture(ctx, "", "lfs", "version")
	if err == nil && exit != 0 {
		return fault.New(fault.Unavailable, "large files are asked for, but git-lfs is not installed where the build runs")
	}
	return err
}

// pullLFS fetches the large files of one repository. That may have its own idea of where they are, which must be allowed.
//
// git-lfs connects to loopback addresses past every proxy, and a server may send it to one. So it talks to a gateway alone.
func (k *checkout) pullLFS(ctx context.Context, dir string) error {
	// Not the file: it may be a link to one of the server's.
	own, err := k.values(ctx, dir, "--blob=HEAD:.lfsconfig", `url$`)
	if err != nil {
		return err
	}
	if err := k.checkAll(ctx, own, ".lfsconfig"); err != nil {
		return err
	}
	if err := k.git(ctx, dir, "lfs", "install", "--local", "--skip-repo"); err != nil {
		return err
	}
	if k.way.proxy == nil {
		return k.git(ctx, dir, "lfs", "pull")
	}
	store, err := k.lfsStore(ctx, dir, own)
	if err != nil {
		return err
	}
	if strings.HasPrefix(store.address, "file:") { // which git-lfs copies from
		return k.git(ctx, dir, "lfs", "pull")
	}
	gateway, err := k.startGateway(ctx, store)
	if err != nil {
		return err
	}
	defer gateway.close()
	k.way.store = gateway.url()
	defer func() { k.way.store = "" }()
	err = k.git(ctx, dir, "lfs", "pull")
	if why := gateway.failure(); err != nil && why != nil {
		return why
	}
	return err
}

// lfsStore is where the large files of a repository are.
type lfsStore struct {
	origin  string       // address of the repository, whose credential opens the store when both are on one host
	address string       // of the store's API, or of the repository when it is reached by ssh
	header  headerFields // of all requests to it
}

// headerFields are the fields that a store wants to see, as its JSON has them.
type headerFields map[string]string

// lfsStore finds the store in the way of git-lfs: by the configuration, by the repository's own idea, else beside the repository.
func (k *checkout) lfsStore(ctx context.Context, dir string, own []setting) (lfsStore, error) {
	configured, err := k.values(ctx, dir, "--includes", `^(lfs\.url|remote\.origin\.lfsurl)$`)
	if err != nil {
		return lfsStore{}, err
	}
	origin, exit, err := k.capture(ctx, dir, "ls-remote", "--get-url", "origin")
	if err != nil || exit != 0 {
		return lfsStore{}, cmp.Or[error](err, fault.New(fault.Invalid, "the repository %s has no address for its large files", k.URL))
	}
	store := lfsStore{origin: strings.TrimSpace(origin)}
	for _, name := range []string{"lfs.url", "remote.origin.lfsurl"} {
		for _, s := range append(append([]setting(nil), own...), configured...) { // of which the last one counts
			if s.name == name {
				store.address = s.value
			}
		}
		if store.address != "" {
			break
		}
	}
	if store.address == "" {
		store.address = store.origin
		if sshHost(store.origin) == "" && !strings.HasPrefix(store.origin, "file:") {
			store.address = besides(store.origin)
		}
	}
	if sshHost(store.address) != "" {
		return k.askSSH(ctx, store)
	}
	return store, nil
}

// besides is where the large files of a repository are when nothing else is said.
func besides(repository string) string {
	return strings.TrimSuffix(strings.TrimSuffix(repository, "/"), ".git") + ".git/info/lfs"
}

// askSSH asks the host of a repository, by ssh, for the store's address and what opens it.
func (k *checkout) askSSH(ctx context.Context, store lfsStore) (lfsStore, error) {
	host, port, path := sshParts(store.address)
	var args []string
	if port != "" {
		args = append(args, "-p", port)
	}
	quoted := "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	args = append(args, host, "git-lfs-authenticate "+quoted+" download")
	env := k.client.commandEnviron(k.way)
	program := `exec "$GIT_SSH" "$@"`
	for _, v := range env {
		if text, ok := strings.CutPrefix(v, "GIT_SSH_COMMAND="); ok {
			program = "exec " + text + ` "$@"`
		}
	}
	out, err := run(ctx, "/bin/sh", append([]string{"-c", program, "ssh"}, args...), command{dir: k.client.dir, env: env})
	subject := "what git lfs fetches for the repository " + k.URL
	if why := k.way.failure(subject); err != nil && why != nil {
		return store, why
	}
	if err != nil {
		return store, cmp.Or[error](k.client.explain(subject, err.Error(), err), fault.Wrap(err, fault.Unavailable, "%s cannot be read: its host says nothing of large files", subject))
	}
	var answer struct {
		Href   string       `json:"href"`
		Header headerFields `json:"header"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return store, fault.Wrap(err, fault.Unavailable, "%s cannot be read: its host says nothing of large files that is understood", subject)
	}
	store.address, store.header = answer.Href, answer.Header
	if store.address == "" {
		store.address = besides("https://" + sshHost(store.origin) + "/" + strings.TrimPrefix(path, "/"))
	}
	return store, nil
}

// sshParts returns the parts of an address that is reached by ssh. The host has the user's name with it.
func sshParts(address string) (host, port, path string) {
	if u, err := url.Parse(address); err == nil && u.Scheme == "ssh" {
		host = u.Hostname()
		if u.User != nil {
			host = u.User.Username() + "@" + host
		}
		return host, u.Port(), u.Path
	}
	parts := scpAddress.FindStringSubmatch(address)
	return parts[1] + "@" + strings.Trim(parts[2], "[]"), "", parts[3]
}
