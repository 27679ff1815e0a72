// Package server puts the rooms together: one process with the API, the engine and everything they need.
package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"atelier/internal/address"
	"atelier/internal/artifact"
	"atelier/internal/build"
	"atelier/internal/cache"
	"atelier/internal/connection"
	"atelier/internal/console"
	"atelier/internal/dialer"
	"atelier/internal/disk"
	"atelier/internal/endpoint"
	"atelier/internal/engine"
	"atelier/internal/executor"
	"atelier/internal/executor/container"
	"atelier/internal/executor/host"
	"atelier/internal/fault"
	"atelier/internal/filelock"
	"atelier/internal/hook"
	"atelier/internal/httpapi"
	"atelier/internal/iam"
	"atelier/internal/keystore"
	"atelier/internal/logs"
	"atelier/internal/notice"
	"atelier/internal/objects"
	"atelier/internal/plan"
	"atelier/internal/purge"
	"atelier/internal/source"
	"atelier/internal/store"
	"atelier/internal/template"
	"atelier/internal/trigger"
)

// Config is everything that an operator can choose. cmd/atelier fills it from flags, the environment and a file.
type Config struct {
	Listen      string // host:port; port 0 takes a free one
	DataDir     string
	Database    string // sqlite:PATH or postgres://…; a file in DataDir when empty
	KeyFile     string // of the key that seals secrets; a file in DataDir when empty
	NewDatabase bool   // an empty database may take the place of the one that the data directory belongs to
	ManyKeys    bool   // the database may have secrets of other keys, which are of no use then; for demonstrations
	Region      string
	Domain      string // the tenant that the first start makes

	TLSCert       string // files in PEM; both or none
	TLSKey        string
	TLSSelfSigned bool // make a certificate in DataDir

	Proxies address.Proxies // whose word about the client of a request is taken

	RepositoryNetworks []netip.Prefix           // that repositories and registries may be in, besides the public one
	FileRepositories   []string                 // directories below which file:// repositories may be built
	Slots              int                      // builds at a time; 0 for the engine's default
	Modules            plan.Modules             // what the operator has learnt of module ids
	MaxTasks           int                      // of a tenant; 0 for 10,000
	MaxTemplates       int                      // of a tenant; 0 for 5000
	MaxFiles           int                      // of a tenant, in file management; 0 for 20
	MaxFileSize        int                      // of one of these, in bytes; 0 for 100 KiB
	MaxSteps           int                      // of a task or a build file; 0 for 50
	MaxValue           int                      // characters of a parameter's value; 0 for 8192
	MaxFailures        int                      // scheduled builds that may fail one after another; 0 for 10
	Classes            []string                 // of builds that this server runs; all when empty
	Limits             build.Limits             // on builds at a time, over all servers
	Containers         *container.Config        // how steps run in containers, without Dir, Source and Path; nil to run them on this machine
	Images             *container.BuilderConfig // how images are built and pushed, without Dir and Region; nil when they are not
	Objects            *objects.Store           // that upload_obs steps put files into; nil when there is none
	Isolation          host.Isolation           // of steps on this machine, without what this package knows to be private
	QueueTimeout       time.Duration            // of a build that waits for an executor
	BuildTimeout       time.Duration            // of a task that has none
	MaxBuildTimeout    time.Duration            // that a task may ask for
	Retention          purge.Retention          // of builds that are over
	LogLimit           int64                    // of one build, in bytes; 0 for none
	ArtifactLimits     build.ArtifactLimits     // in bytes; 0 for none
	DiskReserve        int64                    // on the disk of DataDir, in bytes; 0 for a part of the disk
	NoReserve          bool                     // nothing is kept free on the disk
	CacheLimit         int64                    // of all caches together, in bytes; 0 for no caches
	Mail               *notice.MailServer       // for notices; nil when there is none
	NoticeNetworks     []netip.Prefix           // that notices may be sent to, besides the public one
	AccessLog          bool                     // a line in the server's log for every request
	Rate               int                      // requests with one key in a second; 0 for no limit
	MissingIs422       bool                     // answer 422, not 404, about tasks, builds and templates that do not exist
	PollRepositories   time.Duration            // between looks at the repositories of tasks that are built when code changes; 0 for never
	NoticePauses       []time.Duration          // before the second and the third try; default 10 s and a minute
	Zone               *time.Location           // of daily numbers and of times without a zone
	Drain              time.Duration            // how long running builds may go on when the server is stopped

	Log *slog.Logger
}

// Server is a running Atelier.
type Server struct {
	config  Config
	disk    *disk.Guard // nil when nothing is kept free
	lock    *filelock.Lock
	store   *store.Store
	logs    *logs.Store
	files   *artifact.Store
	iam     *iam.Service
	engine  *engine.Engine
	timers  *trigger.Runner
	notices *notice.Sender
	hooks   *hook.Service
	audit   *os.File
	poller  *hook.Poller // nil when nobody is to look
	purger  *purge.Purger
	runner  runner
	images  *container.Builder // nil when no images are built
	http    *http.Server
	access  *slog.Logger // nil when requests are not logged
	listen  net.Listener
	scheme  string
	limits  connection.Limits
	served  chan error
	closing chan struct{} // closed when no stream may go on
	sweep   context.CancelFunc
	swept   sync.WaitGroup

	endpoints *endpoint.Service
}

// runner is an executor that is closed with the server.
type runner interface {
	executor.Executor
	io.Closer
}

// Open opens what the configuration names, and makes what is not there yet. Nothing runs before [Server.Start].
func Open(ctx context.Context, c Config) (_ *Server, err error) {
	s := &Server{config: c, served: make(chan error, 1), closing: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if err := os.MkdirAll(c.DataDir, 0o700); err != nil {
		return nil, fault.Wrap(err, fault.Invalid, "--data-dir: %s cannot be made", c.DataDir)
	}
	if !c.NoReserve {
		if s.disk, err = disk.Open(c.DataDir, c.DiskReserve); err != nil {
			return nil, err
		}
	}
	if s.lock, err = lockDir(c.DataDir); err != nil {
		return nil, err
	}
	id, err := serverID(c.DataDir)
	if err != nil {
		return nil, err
	}
	// What is wrong with the address comes out before anything is stored. Who calls already waits for Start.
	if err := s.takeAddress(ctx); err != nil {
		return nil, err
	}
	parts, err := openParts(ctx, c, s.disk)
	if err != nil {
		return nil, err
	}
	s.store, s.iam, s.endpoints = parts.Store, parts.IAM, parts.Endpoints
	if s.logs, err = logs.Open(filepath.Join(c.DataDir, "logs"), logs.Config{Zone: c.Zone, Limit: c.LogLimit, Room: s.disk.Take}); err != nil {
		return nil, fmt.Errorf("open the logs: %w", err)
	}
	bucket, err := artifact.OpenDir(filepath.Join(c.DataDir, "artifacts"))
	if err != nil {
		return nil, err
	}
	s.files = artifact.New(bucket, s.store, artifact.Config{Limits: c.ArtifactLimits, Room: s.disk.Take})
	policy, repositories := source.Policy{FileRoots: c.FileRepositories}, dialer.New("--repository-networks", c.RepositoryNetworks)
	git, err := source.New(source.Config{Policy: policy, Dir: filepath.Join(c.DataDir, "repositories"), Environ: os.Environ(), Dialer: repositories})
	if err != nil {
		return nil, err
	}
	if s.runner, err = newRunner(ctx, c, git, repositories); err != nil {
		return nil, err
	}
	caches, err := openCaches(c, s.runner)
	if err != nil {
		return nil, err
	}
	files := &keystore.Service{Store: s.store, Users: s.iam, Sealer: parts.Sealer, Now: time.Now, Most: cmp.Or(c.MaxFiles, keystore.MaxFiles), Size: cmp.Or(c.MaxFileSize, keystore.MaxSize)}
	images, err := s.openImages(ctx, c, repositories)
	if err != nil {
		return nil, err
	}
	open := endpoints{parts.Endpoints, git}
	var store engine.Objects // not one that is nil inside
	if c.Objects != nil {
		store = c.Objects
	}
	var peers engine.Peers // not one that is nil inside
	if bus := s.store.Bus(c.Log); bus != nil {
		peers = bus
	}
	if s.audit, err = os.OpenFile(filepath.Join(c.DataDir, "audit.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, fmt.Errorf("open the audit log: %w", err)
	}
	audit := slog.New(slog.NewJSONHandler(s.audit, nil))
	var room engine.Disk // not one that is nil inside
	if s.disk != nil {
		room = s.disk
	}
	s.engine = engine.New(engine.Parts{
		Owner: id, Queue: s.store, Sources: git, Artifacts: s.files, Rights: s.iam, Files: files, Endpoints: open, Images: images, Objects: store, Caches: caches, Disk: room, Peers: peers, Sealer: parts.Sealer, Logs: s.logs, Log: c.Log, Audit: audit,
		Executor: s.runner, Slots: c.Slots, Classes: c.Classes, Modules: c.Modules, MaxSteps: c.MaxSteps, Limits: c.Limits, Timeout: c.BuildTimeout, QueueTimeout: c.QueueTimeout, Zone: c.Zone, Now: s.store.Now,
		Sole: s.store.Exclusive(),
	})
	s.purger = purge.New(s.store, s.logs, c.Retention, c.Log)
	builds := build.NewService(build.Parts{
		Store: s.store, Access: s.iam, Sources: policy, Steps: plan.Steps{Modules: c.Modules}, Triggers: trigger.Schedules{Zone: c.Zone}, Sealer: parts.Sealer, Engine: s.engine,
		Region: c.Region, Zone: c.Zone, MaxTimeout: c.MaxBuildTimeout, MaxJobs: c.MaxTasks, MaxSteps: c.MaxSteps, MaxValue: c.MaxValue, Limits: c.Limits, Now: s.store.Now, Doomed: s.purger.Wake,
	})
	templates := &template.Service{Store: s.store, Checker: builds, Users: s.iam, Repositories: git, Now: time.Now, Most: cmp.Or(c.MaxTemplates, template.Max)}
	s.notices = &notice.Sender{
		Store: s.store, Sealer: parts.Sealer, People: s.iam, Mail: c.Mail, Robots: notice.NewRobots(dialer.New("--notice-networks", c.NoticeNetworks)), Zone: c.Zone, Log: c.Log,
		Now: s.store.Now, Wake: s.store.NoticeStored(), Pauses: c.NoticePauses,
	}
	notices := &notice.Service{Store: s.store, Tasks: builds, Sealer: parts.Sealer, Sender: s.notices, Now: s.store.Now}
	s.hooks = hook.New(hook.Service{Store: s.store, Builds: builds, Sealer: parts.Sealer, Log: c.Log, Now: s.store.Now})
	if c.AccessLog {
		s.access = c.Log
	}
	if c.PollRepositories > 0 {
		s.poller = &hook.Poller{Store: s.store, Hooks: s.hooks, Sources: open, Interval: c.PollRepositories}
	}
	s.timers = &trigger.Runner{Tasks: s.store, Builds: builds, Sources: open, Zone: c.Zone, Log: c.Log, MaxFailures: cmp.Or(c.MaxFailures, trigger.MaxFailures)}
	s.http = &http.Server{
		Handler: httpapi.New(httpapi.Parts{
			Builds: builds, IAM: s.iam, Logs: s.logs, Artifacts: s.files, Keystore: files, Endpoints: parts.Endpoints, Templates: templates, Notices: notices, Hooks: s.hooks, Epoch: s.store.Epoch, Log: c.Log, Zone: c.Zone, Now: s.store.Now, Region: c.Region,
			Access: s.access, Audit: audit, Rate: c.Rate, Proxies: c.Proxies, Connections: s.limits.Total, MissingIs422: c.MissingIs422,
			Images: catalogue(c), Modules: c.Modules, Anywhere: c.Containers != nil, Internal: isInternal(s.listen.Addr()), Closing: s.closing,
			Console: console.New(c.Region, c.Domain),
		}),
		DisableGeneralOptionsHandler: true, // which would answer OPTIONS * without a request id
		ReadHeaderTimeout:            10 * time.Second,
		ReadTimeout:                  5 * time.Minute,
		IdleTimeout:                  2 * time.Minute,
		HTTP2:                        &http.HTTP2Config{MaxConcurrentStreams: httpapi.StreamsPerConnection},
		MaxHeaderBytes:               httpapi.MaxHeaderBytes,
		ErrorLog:                     slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug), // clients that hang up are no errors
	}
	return s, nil
}

// catalogue are the images that build steps can ask for by name.
func catalogue(c Config) []httpapi.Image {
	all := container.DefaultCatalogue()
	if c.Containers != nil && c.Containers.Images != nil {
		all = c.Containers.Images
	}
	var out []httpapi.Image
	for _, name := range slices.Sorted(maps.Keys(all.Images)) {
		out = append(out, httpapi.Image{Name: name, Address: all.Images[name]})
	}
	return out
}

// isInternal reports whether only private networks lead to an address.
func isInternal(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && (tcp.IP.IsLoopback() || tcp.IP.IsPrivate() || tcp.IP.IsLinkLocalUnicast())
}

// openCaches opens the caches of builds, which may be switched off.
func openCaches(c Config, steps runner) (engine.Caches, error) {
	if c.CacheLimit == 0 {
		return nil, nil
	}
	caches, err := cache.Open(CacheDir(c.DataDir), c.CacheLimit)
	if err != nil {
		return nil, err
	}
	on, isHost := steps.(*host.Executor)
	caches.Share = isHost && on.HasUsers()
	return caches, nil
}

// openImages connects what builds images to its engine, where images are built.
func (s *Server) openImages(ctx context.Context, c Config, registries *dialer.Dialer) (engine.Images, error) {
	if c.Images == nil {
		return nil, nil
	}
	config := *c.Images
	config.Dir, config.Region, config.Dialer = c.DataDir, c.Region, registries
	var err error
	if s.images, err = container.NewBuilder(ctx, config); err != nil {
		return nil, fmt.Errorf("the images of builds: %w", err)
	}
	return s.images, nil
}

// newRunner makes the executor that the configuration asks for.
func newRunner(ctx context.Context, c Config, git *source.Client, registries *dialer.Dialer) (runner, error) {
	dir, path := filepath.Join(c.DataDir, "builds"), os.Getenv("PATH")
	if c.Containers == nil {
		e, err := host.New(host.Config{Dir: dir, Source: git, Path: path, Isolation: c.isolation(), Log: c.Log})
		if err != nil {
			return nil, err // and no executor: a nil one in an interface is not nil
		}
		for _, gap := range e.Gaps() {
			c.Log.Warn("builds are not isolated as they could be", "gap", gap)
		}
		return e, nil
	}
	config := *c.Containers
	config.Dir, config.Source, config.Path, config.Log, config.Dialer = dir, git, path, c.Log, registries
	e, err := container.New(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("--executor container: %w", err)
	}
	return e, nil
}

// isolation returns what steps on this machine are kept from: of what is kept, everything.
func (c Config) isolation() host.Isolation {
	isolation := c.Isolation
	isolation.Private = append(slices.Clone(isolation.Private), c.DataDir)
	for _, file := range []string{c.KeyFile, c.TLSKey} {
		if file != "" {
			isolation.Private = append(isolation.Private, file)
		}
	}
	if file, ok := strings.CutPrefix(c.Database, "sqlite:"); ok {
		isolation.Private = append(isolation.Private, file, file+"-wal", file+"-shm")
	}
	isolation.Builds = cmp.Or(c.Slots, engine.DefaultSlots())
	return isolation
}

// DefaultKeyFile returns where the key that seals secrets is in a data directory.
func DefaultKeyFile(dataDir string) string { return filepath.Join(dataDir, "secret.key") }

// CacheDir returns where the caches of builds are in a data directory.
func CacheDir(dataDir string) string { return filepath.Join(dataDir, "caches") }

// IAM returns the users, projects and keys of the server.
func (s *Server) IAM() *iam.Service { return s.iam }

// Endpoints returns the service endpoints of all projects.
func (s *Server) Endpoints() *endpoint.Service { return s.endpoints }

// takeAddress begins to listen, with or without TLS.
func (s *Server) takeAddress(ctx context.Context) error {
	certificates, err := tlsConfig(s.config)
	if err != nil {
		return err
	}
	s.listen, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.config.Listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("--listen: %s is taken by another program; give another address, or port 0 for a free port", s.config.Listen)
	}
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	descriptors, err := connection.Descriptors()
	if err != nil {
		return fmt.Errorf("find out how many files may be open: %w", err)
	}
	s.limits = connection.LimitsFor(descriptors, cmp.Or(s.config.Slots, engine.DefaultSlots()))
	s.config.Log.Info("connections are bounded", "open_files", descriptors, "connections", s.limits.Total, "for_each_source", s.limits.PerSource)
	s.listen = connection.NewListener(s.listen, s.limits, s.config.Proxies, s.config.Log)
	s.scheme = "http"
	if certificates != nil {
		s.listen, s.scheme = tls.NewListener(s.listen, certificates), "https"
	}
	return nil
}

// Start begins to run builds and to answer.
func (s *Server) Start(ctx context.Context) error {
	if err := s.engine.Start(ctx); err != nil {
		return fmt.Errorf("start the engine: %w", err)
	}
	var sweeping context.Context
	sweeping, s.sweep = context.WithCancel(context.WithoutCancel(ctx))
	s.swept.Go(func() { s.sweepUntil(sweeping) })
	if s.disk != nil {
		s.swept.Go(func() { s.disk.Run(sweeping, s.config.Log) })
	}
	s.swept.Go(func() { s.compressUntil(sweeping) })
	s.swept.Go(func() { s.timers.Run(sweeping) })
	s.swept.Go(func() { s.notices.Run(sweeping) })
	s.swept.Go(func() { s.hooks.Run(sweeping) })
	if s.poller != nil {
		s.swept.Go(func() { s.poller.Run(sweeping) })
	}
	s.swept.Go(func() { s.purger.Run(sweeping) })
	go func() { s.served <- httpapi.Serve(s.http, s.listen, s.access) }()
	return nil
}

// URL returns the address of the server.
func (s *Server) URL() string {
	addr := s.listen.Addr().(*net.TCPAddr)
	hostPort := addr.String()
	if addr.IP.IsUnspecified() {
		hostPort = net.JoinHostPort("localhost", fmt.Sprint(addr.Port))
	}
	return s.scheme + "://" + hostPort
}

// Failed receives the error of a server that stopped answering by itself.
func (s *Server) Failed() <-chan error { return s.served }

// Stop answers what was asked, lets running builds go on for a while, ends them, and closes everything.
// When ctx ends, builds end at once.
func (s *Server) Stop(ctx context.Context) error {
	drain, cancel := context.WithTimeout(ctx, s.config.Drain)
	defer cancel()
	// Clients may follow their builds to the end, so the engine stops first.
	s.engine.Stop(drain)
	answer, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	close(s.closing)
	err := s.http.Shutdown(answer)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.http.Close()
	}
	s.sweep()
	s.swept.Wait()
	return errors.Join(err, s.closeStores())
}

// Close closes a server that was opened but not started.
func (s *Server) Close() error {
	if s.listen != nil {
		_ = s.listen.Close() // which was never used
	}
	return s.closeStores()
}

func (s *Server) closeStores() error {
	var errs []error
	if s.runner != nil {
		errs = append(errs, s.runner.Close())
	}
	if s.images != nil {
		errs = append(errs, s.images.Close())
	}
	if s.files != nil {
		errs = append(errs, s.files.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.audit != nil {
		errs = append(errs, s.audit.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Unlock())
	}
	return errors.Join(errs...)
}

// sweepUntil removes what has expired, now and then.
func (s *Server) sweepUntil(ctx context.Context) {
	s.reportUnnamed(ctx)
	ticker := time.NewTicker(time.Hour)
	defer ticker.Stop()
	for {
		if err := s.iam.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.config.Log.Error("remove expired tokens and keys", "error", err)
		}
		if err := s.files.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.config.Log.Error("remove artifacts that are needed no more", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// reportUnnamed says how many uploaded files the database does not know, as after a backup of it was restored. They stay.
func (s *Server) reportUnnamed(ctx context.Context) {
	files, bytes, err := s.files.Unnamed(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		s.config.Log.Error("look for artifacts that the database does not name", "error", err)
	case files > 0:
		s.config.Log.Warn("the database does not name some artifacts; they are left where they are", "files", files, "bytes", bytes)
	}
}

// compressUntil compresses the logs of builds that are over.
func (s *Server) compressUntil(ctx context.Context) {
	isFinal := func(ctx context.Context, id build.RecordID) (bool, error) {
		record, _, err := s.store.RecordByID(ctx, id)
		if fault.Is(err, fault.NotFound) {
			return false, nil // nobody can read it
		}
		return record.State.Final(), err
	}
	s.logs.Compress(ctx, isFinal, func(id build.RecordID, err error) {
		s.config.Log.Error("compress a log", "record", id, "error", err)
	})
}
