package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"atelier/internal/dirtree"
	"atelier/internal/executor/host"
	"atelier/internal/fault"
	"atelier/internal/iam"
	"atelier/internal/iam/signature"
	"atelier/internal/server"
)

// demoCommand shows everything once: it starts a server, makes what a build needs, runs one through the public API, and stays
// up. Progress goes to standard error; standard output carries the record of the build and nothing else.
type demoCommand struct {
	serverFlags `embed:"" set:"log_level=warn"` // the server's own lines would be in the way
	Once        bool                            `help:"Leave after the build, with its result as exit status." env:"-"`
}

// What the demo calls the things that it makes.
const (
	demoUser    = "dev"
	demoProject = "demo"
	demoTask    = "demo"
)

// demo is what the demo has made so far.
type demo struct {
	std      stdio
	server   *server.Server
	config   server.Config
	client   *client
	password string
	user     iam.User
	region   string // id of the identity service's project
	project  string // id of the project with the task
	repo     string // address of the repository
	job      string
	number   string
}

// Run implements the command.
func (c *demoCommand) Run(std stdio, signals interrupts, file *configFlag) (err error) {
	// A demo without a directory of its own leaves nothing behind.
	if c.DataDir == "" {
		if c.DataDir, err = os.MkdirTemp("", "atelier-demo-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, dirtree.RemoveAll(context.Background(), c.DataDir)) }()
	}
	config, err := c.config(std, *file)
	if err != nil {
		return err
	}
	if config.Isolation.Want == host.Auto {
		config.Isolation.Want = host.Try // the builds of a demonstration are the demonstrator's
	}
	repositories := filepath.Join(config.DataDir, "demo-repositories")
	config.FileRepositories = append(config.FileRepositories, repositories)
	ctx := signals.stop
	d := &demo{std: std, config: config}
	config.ManyKeys = true // each demonstration has a directory of its own
	if d.server, err = server.Open(ctx, config); err != nil {
		return err
	}
	if d.repo, err = makeRepository(ctx, filepath.Join(repositories, "hello")); err != nil {
		return errors.Join(fmt.Errorf("make the demo's repository: %w", err), d.server.Close())
	}
	if err := d.server.Start(ctx); err != nil {
		return errors.Join(err, d.server.Close())
	}
	defer func() { err = errors.Join(err, d.server.Stop(signals.now)) }()
	d.say("Atelier listens on %s. Everything is kept in %s.", d.server.URL(), config.DataDir)
	status, err := d.play(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		return err
	case c.Once && status != "SUCCESS":
		return exitError(1)
	case c.Once || err != nil: // Ctrl-C during the build
		return nil
	}
	d.explain()
	select {
	case <-ctx.Done():
		d.say("\nGood bye.")
		return nil
	case err := <-d.server.Failed():
		return fmt.Errorf("serve: %w", err)
	}
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.std.Err, format+"\n", args...) }

// play makes all that a build needs, runs one, and returns its status.
func (d *demo) play(ctx context.Context) (status string, err error) {
	if err := d.makeAccount(ctx); err != nil {
		return "", fmt.Errorf("make the demo's user: %w", err)
	}
	if err := d.makeTask(ctx); err != nil {
		return "", err
	}
	if err := d.start(ctx); err != nil {
		return "", err
	}
	if err := d.follow(ctx); err != nil {
		return "", err
	}
	if status, err = d.show(ctx); err != nil {
		return "", err
	}
	return status, d.writeEnv()
}

// makeAccount makes the domain, a user with a key, and a project in which it is a developer. In a directory that an earlier demo
// has used, the user gets a new password and a new key.
func (d *demo) makeAccount(ctx context.Context) error {
	users := d.server.IAM()
	if _, err := users.Bootstrap(ctx, d.config.Domain, "admin", newPassword(), d.config.Region); err != nil {
		return err
	}
	domain, err := findDomain(ctx, users, d.config.Domain)
	if err != nil {
		return err
	}
	d.password = newPassword()
	d.user, err = findUser(ctx, users, domain, demoUser)
	switch {
	case fault.Is(err, fault.NotFound):
		d.user, err = users.CreateUser(ctx, iam.NewUser{DomainID: domain.ID, Name: demoUser, Password: d.password})
	case err == nil:
		if err = d.dropKey(ctx, users); err == nil {
			err = users.SetPassword(ctx, d.user.ID, d.password)
		}
	}
	if err != nil {
		return err
	}
	project, err := findProject(ctx, users, domain, demoProject)
	if fault.Is(err, fault.NotFound) {
		project, err = users.CreateProject(ctx, iam.NewProject{DomainID: domain.ID, Name: demoProject})
	}
	if err != nil {
		return err
	}
	d.project = project.ID
	if err := users.GrantRole(ctx, project.ID, d.user.ID, iam.Developer); err != nil {
		return err
	}
	return d.makeKey(ctx, users)
}

// demoKeyNote tells the keys that a demo made from all others.
const demoKeyNote = "made by atelier demo"

// dropKey removes the key of an earlier demo, whose secret is lost. A user without one is somebody else's.
func (d *demo) dropKey(ctx context.Context, users *iam.Service) error {
	keys, err := users.Keys(ctx, d.user.ID)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if key.Description == demoKeyNote {
			return users.DeleteKey(ctx, key.Access)
		}
	}
	return fault.New(fault.Exists, "the domain %s has a user %s that no demo made; give the demo a --data-dir or --database of its own", d.config.Domain, demoUser)
}

func (d *demo) makeKey(ctx context.Context, users *iam.Service) error {
	key, secret, err := users.CreateKey(ctx, d.user.ID, demoKeyNote)
	if err != nil {
		return err
	}
	transport, err := trusting(d.config)
	if err != nil {
		return err
	}
	d.client = &client{
		endpoint: d.server.URL(), key: signature.Key{Access: key.Access, Secret: secret},
		http: &http.Client{Transport: transport, Timeout: time.Minute},
	}
	var regions struct {
		Projects []struct {
			ID string `json:"id"`
		} `json:"projects"`
	}
	_, err = d.client.call(ctx, http.MethodGet, "/v3/projects", map[string][]string{"name": {d.config.Region}}, nil, &regions)
	if err == nil && len(regions.Projects) != 1 {
		err = fmt.Errorf("the domain has %d regions called %s", len(regions.Projects), d.config.Region)
	}
	if err != nil {
		return err
	}
	d.region = regions.Projects[0].ID
	return nil
}

// pollTime is how often the demo asks for more of the log.
const pollTime = 50 * time.Millisecond

// follow prints the log of the build until it is complete.
func (d *demo) follow(ctx context.Context) error {
	ticker := time.NewTicker(pollTime)
	defer ticker.Stop()
	for offset := int64(0); ; {
		var log struct {
			Result struct {
				Content string `json:"content"`
				Offset  int64  `json:"offset"`
				More    bool   `json:"has_more_data"`
			} `json:"result"`
		}
		path := "/v3/jobs/" + d.job + "/" + d.number + "/real-time-log"
		if _, err := d.client.call(ctx, http.MethodGet, path, map[string][]string{"offset": {fmt.Sprint(offset)}}, nil, &log); err != nil {
			return err
		}
		if _, err := io.WriteString(d.std.Err, log.Result.Content); err != nil {
			return err
		}
		offset = log.Result.Offset
		if !log.Result.More {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
