package httpapi

import (
	"archive/zip"
	"io"
	"strings"

	"atelier/internal/build"
	"atelier/internal/fault"
	"atelier/internal/logs"
)

func (a *API) logOperations() []operation {
	return []operation{
		handle("DownloadBuildLog", "GET /v4/{record_id}/download-log", outdated, "Whole log of a build.", a.downloadLog),
		handle("DownloadLogByRecordId", "GET /v3/{record_id}/download-log", retiring, "Whole log of a build.", a.downloadLog),
		handle("DownloadBuildFullLog", "GET /v1/log/{record_id}/download-log", current, "Whole log of a build, compressed on request.", a.downloadLog),
		handle("DownloadTaskLog", "GET /v4/{record_id}/task-log", outdated, "Log of one step of a build.", a.downloadStepLog),
		handle("DownloadRealTimeLog", "GET /v3/jobs/{job_id}/{build_no}/real-time-log", outdated, "Log while it grows, by offset.", a.followLog),
		handle("DownloadBuildRealTimeLog", "GET /v1/log/{job_id}/{build_no}/real-time-log", current, "Log while it grows, by window.", a.followLogWindow),
		handle("ShowActionIInfo", "GET /v1/log/stage/page", current, "Log of a build, by window.", a.showLogPage),
		handle("FollowLogEvents", "GET /v1/log/{record_id}/events", own, "Log while it grows, as server-sent events.", a.followLogEvents),
	}
}

// logOffset is a place in a log, in bytes. The vendor's clients have 32 bits for it, which the default limit of a log stays far below.
type logOffset int64

// maxLogOffset is what a number in JSON holds exactly, whoever reads it.
const maxLogOffset = 1<<53 - 1

func (o *logOffset) parse(name, value string) error {
	n, err := parseNumber(name, value, 0, maxLogOffset)
	*o = logOffset(n)
	return err
}

type followLogRequest struct {
	JobID   jobID     `path:"job_id"`
	BuildNo buildNo   `path:"build_no"`
	Offset  logOffset `query:"offset"`
	Length  count     `query:"length"`
}

// followLogAnswer: Offset is where the next answer begins, CurrentOffset where this one does. While HasMoreData is true there is
// more, now or later; the content may be empty.
type followLogAnswer struct {
	Content       string `json:"content"`
	Offset        int64  `json:"offset"`
	CurrentOffset int64  `json:"current_offset"`
	HasMoreData   bool   `json:"has_more_data"`
}

// defaultLength is the documented length of an answer in bytes.
const defaultLength = 1_000_000

func (a *API) followLog(c call, in followLogRequest) (*envelope[followLogAnswer], error) {
	// The state first: when it is final, the log that is read afterwards is complete.
	record, _, err := a.Builds.Record(c.ctx(), c.actor(), build.JobID(in.JobID), int(in.BuildNo))
	if err != nil {
		return nil, err
	}
	if err := a.checkLog(record); err != nil {
		return nil, err
	}
	length := int(in.Length)
	if length == 0 {
		length = defaultLength
	}
	final := record.State.Final()
	chunk, next, err := a.Logs.Read(record.ID, int64(in.Offset), length, final)
	if err != nil {
		return nil, err
	}
	more := !final
	if final {
		size, err := a.Logs.Size(record.ID)
		if err != nil {
			return nil, err
		}
		more = next < size
	}
	return wrap(followLogAnswer{Content: string(chunk), Offset: next, CurrentOffset: int64(in.Offset), HasMoreData: more}), nil
}

type followWindowRequest struct {
	JobID       jobID     `path:"job_id"`
	BuildNo     buildNo   `path:"build_no"`
	StartOffset logOffset `query:"start_offset"`
	EndOffset   logOffset `query:"end_offset"` // 0 is the present end
	Sort        word      `query:"sort" doc:"AES|ASC|DESC"`
	Size        lines     `query:"size"`
}

// lines is a number of lines, 1000 when it is not given.
type lines int

func (l *lines) parse(name, value string) error {
	n, err := parseNumber(name, value, 1, 100_000)
	*l = lines(n)
	return err
}

// windowAnswer has texts for its offsets.
type windowAnswer struct {
	Log         string `json:"log"`
	StartOffset string `json:"start_offset"`
	EndOffset   string `json:"end_offset"`
	HasMore     bool   `json:"has_more"`
	Location    string `json:"location"`
}

type logPageRequest struct {
	JobID       jobID     `query:"job_id" required:"true"`
	BuildNo     buildNo   `query:"build_no" required:"true"`
	StartOffset logOffset `query:"start_offset" required:"true"`
	EndOffset   logOffset `query:"end_offset" required:"true"`
	Sort        word      `query:"sort" doc:"AES|ASC|DESC"`
}

func (a *API) showLogPage(c call, in logPageRequest) (*envelope[windowAnswer], error) {
	return a.followLogWindow(c, followWindowRequest{JobID: in.JobID, BuildNo: in.BuildNo, StartOffset: in.StartOffset, EndOffset: in.EndOffset, Sort: in.Sort})
}

func (a *API) followLogWindow(c call, in followWindowRequest) (*envelope[windowAnswer], error) {
	window := logs.Window{Start: int64(in.StartOffset), End: int64(in.EndOffset), Lines: int(in.Size)}
	if window.Lines == 0 {
		window.Lines = 1000
	}
	switch strings.ToUpper(string(in.Sort)) {
	case "", "AES", "ASC": // the first is how the vendor spells it
	case "DESC":
		window.Last = true
	default:
		return nil, invalid(codeInvalid, "sort", "must be AES or DESC, found %q", shorten(string(in.Sort)))
	}
	if window.End > 0 && window.End < window.Start {
		return nil, invalid(codeInvalid, "end_offset", "must not be less than start_offset, found %d and %d", window.End, window.Start)
	}
	record, _, err := a.Builds.Record(c.ctx(), c.actor(), build.JobID(in.JobID), int(in.BuildNo))
	if err != nil {
		return nil, err
	}
	if err := a.checkLog(record); err != nil {
		return nil, err
	}
	final := record.State.Final()
	part, err := a.Logs.Window(record.ID, window, final)
	if err != nil {
		return nil, err
	}
	more := !final
	if final {
		size, err := a.Logs.Size(record.ID)
		if err != nil {
			return nil, err
		}
		more = part.End < size && !window.Last || window.Last && part.Start > window.Start
	}
	return wrap(windowAnswer{
		Log: string(part.Text), StartOffset: number(int(part.Start)), EndOffset: number(int(part.End)), HasMore: more, Location: "atelier",
	}), nil
}

type downloadLogRequest struct {
	RecordID recordID `path:"record_id"`
	Level    level    `query:"log_level"`
	Compress flag     `query:"compress"`
}

// checkLog reports a log that should be there and is not, which only a record that is final tells: until then a log is empty as long
// as it is not there. Its file is made after the database says that a server has taken the build, and again when another server
// goes on with it; and a build can end before it has one.
func (a *API) checkLog(record build.Record) error {
	if !record.State.Final() || !record.Logged {
		return nil
	}
	there, err := a.Logs.Exists(record.ID)
	if err == nil && !there {
		err = fault.New(fault.NotFound, "the log of build %d is gone: its file is not on the disk of this server, which has either lost it or not run the build", record.Number)
	}
	return err
}

// level is the least level of the lines in a log.
type level struct{ debug bool }

func (l *level) parse(name, value string) error {
	switch strings.ToUpper(value) {
	case "INFO":
	case "DEBUG":
		l.debug = true
	default:
		return invalid(codeInvalid, name, "must be INFO or DEBUG, found %q", shorten(value))
	}
	return nil
}

func (a *API) downloadLog(c call, in downloadLogRequest) (*download, error) {
	record, err := a.Builds.RecordByID(c.ctx(), c.actor(), build.RecordID(in.RecordID))
	if err != nil {
		return nil, err
	}
	if err := a.checkLog(record); err != nil {
		return nil, err
	}
	log, err := a.Logs.Reader(record.ID)
	if err != nil {
		return nil, err
	}
	name := string(record.ID) + ".log"
	file := a.filtered(&download{name: name, body: log}, in.Level)
	if in.Compress {
		file = &download{name: name + ".zip", size: -1, body: zipped(name, file.body)}
	}
	return file, nil
}

// filtered leaves out the lines below the level. Without lines to leave out the size of the file is known.
func (a *API) filtered(d *download, l level) *download {
	seeker, ok := d.body.(io.Seeker)
	if l.debug && ok {
		if size, err := seeker.Seek(0, io.SeekEnd); err == nil {
			if _, err := seeker.Seek(0, io.SeekStart); err == nil {
				d.size = size
				return d
			}
		}
	}
	d.size = -1
	d.body = readCloser{logs.WithoutDebug(d.body), d.body}
	return d
}

type readCloser struct {
	io.Reader
	io.Closer
}

// zipped returns a ZIP with one file, made while it is read.
func zipped(name string, body io.ReadCloser) io.ReadCloser {
	r, w := io.Pipe()
	go func() {
		defer body.Close()
		z := zip.NewWriter(w)
		f, err := z.Create(name)
		if err == nil {
			_, err = io.Copy(f, body)
		}
		if err == nil {
			err = z.Close()
		}
		w.CloseWithError(err) // a reader that went away ends the copy above
	}()
	return r
}

type stepLogRequest struct {
	RecordID recordID `path:"record_id"`
	TaskName word     `query:"task_name" required:"true"`
	Level    level    `query:"log_level"`
}

func (a *API) downloadStepLog(c call, in stepLogRequest) (*download, error) {
	record, err := a.Builds.RecordByID(c.ctx(), c.actor(), build.RecordID(in.RecordID))
	if err != nil {
		return nil, err
	}
	steps, err := a.Builds.StepsOf(c.ctx(), record)
	if err != nil {
		return nil, err
	}
	if err := a.checkLog(record); err != nil {
		return nil, err
	}
	for _, s := range steps {
		if s.Stage != string(in.TaskName) {
			continue
		}
		if s.State == build.StepWaiting {
			s.LogEnd = s.LogStart // it has not begun
		}
		log, err := a.Logs.Section(record.ID, s.LogStart, s.LogEnd)
		if err != nil {
			return nil, err
		}
		return a.filtered(&download{name: string(record.ID) + "-" + s.Stage + ".log", body: log}, in.Level), nil
	}
	return nil, fault.New(fault.NotFound, "the build has no step %q; its steps are called stage1, stage2 and so on", shorten(string(in.TaskName)))
}
