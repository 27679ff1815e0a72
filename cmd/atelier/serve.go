package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"atelier/internal/address"
	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/plan"
	"atelier/internal/purge"
	"atelier/internal/server"
)

// defaultDataDir is the data directory of a server that is told nothing.
const defaultDataDir = "atelier-data"

// dataFlags say where everything is kept. All commands that touch it have them.
type dataFlags struct {
	DataDir  string `help:"Directory for everything that is kept (default: ${kept})." placeholder:"DIR"`
	Database string `help:"Database: sqlite:PATH or postgres://… (default: a file in the data directory)." placeholder:"URL"`
	KeyFile  string `help:"File with the key that seals secrets (default: in the data directory). Servers that share a database share it." placeholder:"FILE"`
	Region   string `help:"Region that this installation stands for. SDKs know cn-north-4 and others by name." default:"cn-north-4"`
	Domain   string `help:"Name of the tenant that the first start makes." default:"atelier"`
}

// dir returns the data directory, for commands that have a lasting one.
func (f dataFlags) dir() (string, error) {
	dir, err := filepath.Abs(cmp.Or(f.DataDir, defaultDataDir))
	if err != nil {
		return "", fault.Field("--data-dir", "%v", err)
	}
	return dir, nil
}

// serverFlags are those of every command that runs a server.
type serverFlags struct {
	dataFlags        `embed:""`
	Listen           string   `help:"Address to listen on; port 0 takes a free one." default:"127.0.0.1:8080"`
	TLSCert          string   `name:"tls-cert" help:"Certificate in PEM, to serve HTTPS." placeholder:"FILE"`
	TLSKey           string   `name:"tls-key" help:"Key of the certificate in PEM." placeholder:"FILE"`
	TLSSelfSigned    bool     `name:"tls-self-signed" help:"Serve HTTPS with a certificate made in the data directory (tls/cert.pem)."`
	FileRepositories []string `help:"Directories below which repositories may be built by file:// addresses." placeholder:"DIR"`
	Slots            int      `help:"Builds that run at a time (default: two for each processor)." placeholder:"N"`
	TaskBuilds       int      `help:"Builds of one task that run at a time; 0 for no limit." placeholder:"N"`
	TenantBuilds     int      `help:"Builds of one tenant that run at a time; 0 for no limit." placeholder:"N"`
	MaxTasks         int      `help:"Tasks that a tenant may have." default:"10000"`
	MaxTemplates     int      `help:"Templates that a tenant may have." default:"5000"`
	MaxFiles         int      `help:"Files that a tenant may have in file management." default:"20"`
	MaxFileSize      int      `help:"Size of one of these files, in KiB." default:"100"`
	MaxSteps         int      `help:"Steps that a task or a build file may have." default:"50"`
	MaxValue         int      `name:"max-parameter-value" help:"Characters that the value of a parameter may have." default:"8192"`
	MaxFailures      int      `name:"max-timer-failures" help:"Scheduled builds of a task that may fail one after another before its timer is ignored." default:"10"`
	Classes          []string `help:"Classes of builds that this server runs, such as 2U8G (default: all)." placeholder:"CLASS"`
	ModuleAliases    []string `help:"Module ids of steps that this version does not know, as ID=KEYWORD, such as devcloud2018.codeci_action_20099.action=gradle." placeholder:"ID=KEYWORD"`
	containerFlags   `embed:""`
	objectFlags      `embed:""`
	noticeFlags      `embed:""`
	networkFlags     `embed:""`
	PollRepositories time.Duration `help:"Time between looks at the repositories of tasks that are built when code changes; 0 for never." default:"0s"`
	isolationFlags   `embed:""`
	QueueTimeout     time.Duration `help:"How long a build may wait for an executor." default:"24h"`
	BuildTimeout     time.Duration `help:"How long a build may run when its task does not say." default:"4h"`
	MaxBuildTimeout  time.Duration `help:"The most that a task may ask for." default:"24h"`
	RetentionDays    int           `help:"Days that a build is kept after its end, with its log; 0 for ever." default:"90"`
	RetentionBuilds  int           `help:"Builds of each task, the latest, that are kept however old they are; 10 or more." default:"10"`
	LogLimit         int64         `help:"Size of a build's log, in MiB, beyond which it is cut; 0 for no limit." default:"100"`
	ArtifactFile     int64         `name:"artifact-file-limit" help:"Size of a file that a build uploads, in MiB; 0 for no limit." default:"2048"`
	ArtifactBuild    int64         `name:"artifact-build-limit" help:"Size of the files that a build uploads together, in MiB; 0 for no limit." default:"10240"`
	ArtifactProject  int64         `name:"artifact-project-limit" help:"Size of the uploaded files of a project together, in MiB; 0 for no limit." default:"102400"`
	DiskReserve      int64         `help:"Space on the disk of the data directory that is left to the database, in MiB (default: a twentieth of the disk, 16 to 2048)." placeholder:"N"`
	CacheSize        int64         `help:"Size of all caches of builds together, in MiB, beyond which those go that were not used for the longest time; 0 for no caches." default:"10240"`
	TimeZone         string        `help:"Zone of daily build numbers and of times without a zone, such as Asia/Shanghai." default:"Local"`
	AccessLog        bool          `help:"Log every request."`
	TrustedProxies   []string      `help:"Networks of reverse proxies, such as 10.0.0.0/8, whose X-Forwarded-For, Forwarded or X-Real-IP says where a request comes from. Limits of sign-ins and connections count by that." placeholder:"CIDR"`
	RateLimit        int           `help:"Requests that may come with one access key in a second, or with the password of a user, and twice as many at once; 0 for no limit." placeholder:"N"`
	NotFoundStatus   int           `help:"Status of the answer about a task, build or template that does not exist: ${enum}. The hosted service has been seen to send 422." enum:"404,422" default:"404"`
	LogLevel         string        `help:"Least level of the server's own log: ${enum}." enum:"debug,info,warn,error" default:"${log_level}"`
	LogFormat        string        `help:"Form of the server's own log: ${enum}." enum:"text,json" default:"text"`
}

// serveCommand runs the server.
type serveCommand struct {
	serverFlags       `embed:""`
	NewDatabase       bool          `help:"Begin with an empty database although the data directory belongs to another one. Logs and artifacts stay, and nobody reaches them any more."`
	Drain             time.Duration `help:"How long running builds may go on when the server is stopped." default:"30s"`
	AdminPasswordFile string        `help:"File with the administrator's password for the first start (default: make one and print it)." placeholder:"FILE"`
}

// maxRetentionDays is a hundred years.
const maxRetentionDays = 36500

// minRetentionBuilds is how many builds of a task its health is made of, and those after which a timer that always fails is ignored.
const minRetentionBuilds = 10

// maxLogLimit is a tebibyte.
const maxLogLimit = 1 << 20

// maxFileSize is 8 MiB: a larger one would not fit into a request.
const maxFileSize = 8 << 10

// maxCacheSize is a pebibyte.
const maxCacheSize = 1 << 30

// config checks the flags, all at once, and returns what they say.
func (f serverFlags) config(std stdio, file configFlag) (server.Config, error) {
	var errs []error
	check := func(ok bool, flag, format string, args ...any) {
		if !ok {
			errs = append(errs, fault.Field(flag, format, args...))
		}
	}
	_, _, err := net.SplitHostPort(f.Listen)
	check(err == nil, "--listen", "must be HOST:PORT such as 127.0.0.1:8080, found %q", f.Listen)
	check(f.Slots >= 0, "--slots", "must be 1 or more, or 0 for two for each processor, found %d", f.Slots)
	check(f.TaskBuilds >= 0, "--task-builds", "must be 1 or more, or 0 for no limit, found %d", f.TaskBuilds)
	check(f.TenantBuilds >= 0, "--tenant-builds", "must be 1 or more, or 0 for no limit, found %d", f.TenantBuilds)
	check(f.MaxTasks >= 1, "--max-tasks", "must be 1 or more, found %d", f.MaxTasks)
	check(f.MaxTemplates >= 1, "--max-templates", "must be 1 or more, found %d", f.MaxTemplates)
	check(f.MaxFiles >= 1, "--max-files", "must be 1 or more, found %d", f.MaxFiles)
	check(f.MaxFileSize >= 1 && f.MaxFileSize <= maxFileSize, "--max-file-size", "must be 1 to %d KiB, found %d", maxFileSize, f.MaxFileSize)
	check(f.MaxSteps >= 1, "--max-steps", "must be 1 or more, found %d", f.MaxSteps)
	check(f.MaxValue >= 1, "--max-parameter-value", "must be 1 or more, found %d", f.MaxValue)
	check(f.MaxFailures >= 1, "--max-timer-failures", "must be 1 or more, found %d", f.MaxFailures)
	for _, class := range f.Classes {
		check(slices.Contains(build.Classes, class), "--classes", "must be some of %s, found %q", strings.Join(build.Classes, ", "), class)
	}
	modules, err := plan.ParseModules(f.ModuleAliases)
	check(err == nil, "--module-aliases", "%v", err)
	var proxies address.Proxies
	for _, text := range f.TrustedProxies {
		network, err := netip.ParsePrefix(text)
		check(err == nil, "--trusted-proxies", "must be networks such as 10.0.0.0/8 or 192.0.2.1/32, found %q", text)
		proxies = append(proxies, network.Masked())
	}
	check(f.RateLimit >= 0, "--rate-limit", "must be 1 or more, or 0 for no limit, found %d", f.RateLimit)
	check(f.PollRepositories == 0 || f.PollRepositories >= 10*time.Second, "--poll-repositories", "must be 10 seconds or more, or 0 for never, found %s", f.PollRepositories)
	check(f.QueueTimeout >= time.Second, "--queue-timeout", "must be a second or more, found %s", f.QueueTimeout)
	check(f.BuildTimeout >= time.Second, "--build-timeout", "must be a second or more, found %s", f.BuildTimeout)
	check(f.MaxBuildTimeout >= f.BuildTimeout, "--max-build-timeout", "must be --build-timeout (%s) or more, found %s", f.BuildTimeout, f.MaxBuildTimeout)
	check(f.RetentionDays >= 0 && f.RetentionDays <= maxRetentionDays, "--retention-days", "must be 1 to %d, or 0 for ever, found %d", maxRetentionDays, f.RetentionDays)
	check(f.RetentionBuilds >= minRetentionBuilds, "--retention-builds", "must be %d or more, found %d", minRetentionBuilds, f.RetentionBuilds)
	check(f.LogLimit >= 0 && f.LogLimit <= maxLogLimit, "--log-limit", "must be 1 to %d MiB, or 0 for no limit, found %d", maxLogLimit, f.LogLimit)
	for flag, size := range map[string]int64{
		"--artifact-file-limit": f.ArtifactFile, "--artifact-build-limit": f.ArtifactBuild, "--artifact-project-limit": f.ArtifactProject,
	} {
		check(size >= 0 && size <= maxCacheSize, flag, "must be 1 to %d MiB, or 0 for no limit, found %d", maxCacheSize, size)
	}
	check(f.DiskReserve >= 0 && f.DiskReserve <= maxCacheSize, "--disk-reserve", "must be 1 to %d MiB, or 0 for a part of the disk, found %d", maxCacheSize, f.DiskReserve)
	check(f.CacheSize >= 0 && f.CacheSize <= maxCacheSize, "--cache-size", "must be 1 to %d MiB, or 0 for no caches, found %d", maxCacheSize, f.CacheSize)
	zone, err := time.LoadLocation(f.TimeZone)
	check(err == nil, "--time-zone", "must be a name such as Asia/Shanghai, UTC or Local, found %q", f.TimeZone)
	roots := make([]string, len(f.FileRepositories))
	for i, root := range f.FileRepositories {
		info, err := os.Stat(root)
		check(err == nil && info.IsDir(), "--file-repositories", "must be directories that are there, found %q", root)
		roots[i], err = filepath.Abs(root)
		check(err == nil, "--file-repositories", "%v", err)
	}
	containers, wrong := f.containerFlags.config()
	errs = append(errs, wrong...)
	images, wrong := f.builder()
	errs = append(errs, wrong...)
	store, wrong := f.objectFlags.config()
	errs = append(errs, wrong...)
	mail, wrong := f.noticeFlags.config()
	errs = append(errs, wrong...)
	repositories, notices, wrong := f.networkFlags.config()
	errs = append(errs, wrong...)
	isolation, wrong := f.isolationFlags.config(string(file), f.SMTPPasswordFile, f.RegistryConfig, f.ObjectStoreCredentials)
	if errs = append(errs, wrong...); len(errs) > 0 {
		return server.Config{}, errors.Join(errs...)
	}
	dir, err := f.dir()
	return server.Config{
		Listen: f.Listen, DataDir: dir, Database: f.Database, KeyFile: f.KeyFile, Region: f.Region, Domain: f.Domain,
		TLSCert: f.TLSCert, TLSKey: f.TLSKey, TLSSelfSigned: f.TLSSelfSigned, FileRepositories: roots, Slots: f.Slots,
		MaxTasks: f.MaxTasks, MaxTemplates: f.MaxTemplates, MaxFiles: f.MaxFiles, MaxFileSize: f.MaxFileSize << 10,
		MaxSteps: f.MaxSteps, MaxValue: f.MaxValue, MaxFailures: f.MaxFailures, Classes: f.Classes, Modules: modules, Limits: build.Limits{Task: f.TaskBuilds, Tenant: f.TenantBuilds},
		Containers: containers, Images: images, Objects: store, Isolation: isolation,
		Mail: mail, RepositoryNetworks: repositories, NoticeNetworks: notices, PollRepositories: f.PollRepositories, AccessLog: f.AccessLog, Rate: f.RateLimit, Proxies: proxies, MissingIs422: f.NotFoundStatus == http.StatusUnprocessableEntity,
		Retention:    purge.Retention{For: time.Duration(f.RetentionDays) * 24 * time.Hour, Latest: f.RetentionBuilds},
		QueueTimeout: f.QueueTimeout, BuildTimeout: f.BuildTimeout, MaxBuildTimeout: f.MaxBuildTimeout, LogLimit: f.LogLimit << 20, CacheLimit: f.CacheSize << 20, DiskReserve: f.DiskReserve << 20,
		ArtifactLimits: build.ArtifactLimits{File: f.ArtifactFile << 20, Build: f.ArtifactBuild << 20, Project: f.ArtifactProject << 20},
		Zone:           zone,
		Log:            f.logger(std),
	}, err
}

func (f serverFlags) logger(std stdio) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(f.LogLevel)) // one of the enum
	options := &slog.HandlerOptions{Level: level}
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(std.Err, options))
	}
	return slog.New(slog.NewTextHandler(std.Err, options))
}

// Run implements the command.
func (c *serveCommand) Run(std stdio, signals interrupts, file *configFlag) error {
	config, err := c.config(std, *file)
	if c.Drain < 0 {
		err = errors.Join(err, fault.Field("--drain", "must be 0 or more, found %s", c.Drain))
	}
	if err != nil {
		return err
	}
	config.Drain, config.NewDatabase = c.Drain, c.NewDatabase
	config.Isolation.Private = append(config.Isolation.Private, settingFiles(c.AdminPasswordFile)...)
	password, err := readSecret("--admin-password-file", c.AdminPasswordFile, std.In)
	if err != nil {
		return err
	}
	s, err := server.Open(signals.stop, config)
	if err != nil {
		return err
	}
	if err := c.bootstrap(signals.stop, s, password, std); err != nil {
		return errors.Join(err, s.Close())
	}
	if err := s.Start(signals.stop); err != nil {
		return errors.Join(err, s.Close())
	}
	config.Log.Info("listening", "url", s.URL(), "region", c.Region, "data", config.DataDir)
	select {
	case <-signals.stop.Done():
		config.Log.Info("stopping; a second signal ends running builds at once", "drain", c.Drain)
		return s.Stop(signals.now)
	case err := <-s.Failed():
		return errors.Join(fmt.Errorf("serve: %w", err), s.Stop(signals.now))
	}
}

// bootstrap makes the administrator of a new installation, with the given password or one of its own, which it prints.
func (c *serveCommand) bootstrap(ctx context.Context, s *server.Server, given string, std stdio) error {
	password := cmp.Or(given, newPassword())
	made, err := s.IAM().Bootstrap(ctx, c.Domain, "admin", password, c.Region)
	if err != nil {
		return fmt.Errorf("set up the installation: %w", err)
	}
	if !made || given != "" {
		return nil
	}
	_, err = fmt.Fprintf(std.Err, "First start. The administrator of domain %s is admin, with this password, which is shown only now:\n\n    %s\n\n", c.Domain, password)
	return err
}

// newPassword returns a password that nobody can guess.
func newPassword() string { return build.NewHexID()[:20] }
