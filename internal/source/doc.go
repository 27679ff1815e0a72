// Package source is how Atelier gets at code: which addresses and names it accepts, which commit a name stands for, one file
// of a commit, and a repository in the workspace of a build. All of it is done by the git program, so that credentials,
// proxies and certificates are set up the way operators know from git.
//
// What comes from outside, an address, a name, a path, the content of a repository, is never taken for an option of git, for
// configuration, or for a command.
package source
