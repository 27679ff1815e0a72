package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/server"
)

// defaultDataDir is the data directory of a server that is told nothing.
const defaultDataDir = "atelier-data"

// dataFlags say where everything is kept. All commands that touch it have them.
type dataFlags struct {
	DataDir  string `help:"Directory for everything that is kept." default:"${data_dir}" placeholder:"DIR"`
	Database string `help:"Database: sqlite:PATH or postgres://… (default: a file in the data directory)." placeholder:"URL"`
	KeyFile  string `help:"File with the key that seals secrets (default: in the data directory). Servers that share a database share it." placeholder:"FILE"`
	Region   string `help:"Region that this installation stands for. SDKs know cn-north-4 and others by name." default:"cn-north-4"`
	Domain   string `help:"Name of the tenant that the first start makes." default:"atelier"`
}

// serverFlags are those of every command that runs a server.
type serverFlags struct {
	dataFlags        `embed:""`
	Listen           string        `help:"Address to listen on; port 0 takes a free one." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	TLSCert          string        `name:"tls-cert" help:"Certificate in PEM, to serve HTTPS." placeholder:"FILE"`
	TLSKey           string        `name:"tls-key" help:"Key of the certificate in PEM." placeholder:"FILE"`
	TLSSelfSigned    bool          `name:"tls-self-signed" help:"Serve HTTPS with a certificate made in the data directory (tls/cert.pem)."`
	FileRepositories []string      `help:"Directories below which repositories may be built by file:// addresses." placeholder:"DIR"`
	Slots            int           `help:"Builds that run at a time (default: two for each processor)." placeholder:"N"`
	BuildTimeout     time.Duration `help:"How long a build may run when its task does not say." default:"4h"`
	MaxBuildTimeout  time.Duration `help:"The most that a task may ask for." default:"24h"`
	LogLimit         int64         `help:"Size of a build's log, in MiB, beyond which it is cut; 0 for no limit." default:"100" placeholder:"MIB"`
	TimeZone         string        `help:"Zone of daily build numbers and of times without a zone, such as Asia/Shanghai." default:"Local"`
	Drain            time.Duration `help:"How long running builds may go on when the server is stopped." default:"30s"`
	LogLevel         string        `help:"Least level of the server's own log: ${enum}." enum:"debug,info,warn,error" default:"info"`
	LogFormat        string        `help:"Form of the server's own log: ${enum}." enum:"text,json" default:"text"`
}

// serveCommand runs the server.
type serveCommand struct {
	serverFlags       `embed:""`
	AdminPasswordFile string `help:"File with the administrator's password for the first start (default: make one and print it)." placeholder:"FILE"`
}

// config checks the flags, all at once, and returns what they say.
func (f serverFlags) config(std stdio) (server.Config, error) {
	var errs []error
	zone, err := time.LoadLocation(f.TimeZone)
	if err != nil {
		errs = append(errs, fault.Field("--time-zone", "%q is no known time zone", f.TimeZone))
	}
	if f.Slots < 0 {
		errs = append(errs, fault.Field("--slots", "must be 1 or more, found %d", f.Slots))
	}
	if f.LogLimit < 0 {
		errs = append(errs, fault.Field("--log-limit", "must be 0 or more, found %d", f.LogLimit))
	}
	for name, d := range map[string]time.Duration{"--build-timeout": f.BuildTimeout, "--max-build-timeout": f.MaxBuildTimeout} {
		if d < time.Second {
			errs = append(errs, fault.Field(name, "must be a second or more, found %s", d))
		}
	}
	dataDir, err := filepath.Abs(f.DataDir)
	if err != nil {
		errs = append(errs, fault.Field("--data-dir", "%v", err))
	}
	if len(errs) > 0 {
		return server.Config{}, errors.Join(errs...)
	}
	return server.Config{
		Listen: f.Listen, DataDir: dataDir, Database: f.Database, KeyFile: f.KeyFile, Region: f.Region, Domain: f.Domain,
		TLSCert: f.TLSCert, TLSKey: f.TLSKey, TLSSelfSigned: f.TLSSelfSigned, FileRepositories: f.FileRepositories, Slots: f.Slots,
		BuildTimeout: f.BuildTimeout, MaxBuildTimeout: f.MaxBuildTimeout, LogLimit: f.LogLimit << 20, Zone: zone, Drain: f.Drain,
		Log: f.logger(std),
	}, nil
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
func (c *serveCommand) Run(std stdio, signals interrupts) error {
	config, err := c.config(std)
	if err != nil {
		return err
	}
	s, err := server.Open(signals.stop, config)
	if err != nil {
		return err
	}
	if err := c.bootstrap(signals.stop, s, std); err != nil {
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

// bootstrap makes the administrator of a new installation.
func (c *serveCommand) bootstrap(ctx context.Context, s *server.Server, std stdio) error {
	password := build.NewHexID()[:20]
	if c.AdminPasswordFile != "" {
		data, err := os.ReadFile(c.AdminPasswordFile)
		if err != nil {
			return fault.Wrap(err, fault.Invalid, "--admin-password-file: %s cannot be read", c.AdminPasswordFile)
		}
		password = strings.TrimRight(string(data), "\r\n")
	}
	made, err := s.IAM().Bootstrap(ctx, c.Domain, "admin", password, c.Region)
	if err != nil || !made || c.AdminPasswordFile != "" {
		return err
	}
	_, err = fmt.Fprintf(std.Err, "First start. The administrator of domain %s is admin, with this password, which is shown only now:\n\n    %s\n\n", c.Domain, password)
	return err
}
