package conformance_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"atelier/internal/server/servertest"
)

// bodies are the bodies of requests. A word with a dollar sign stands for something of the world.
var bodies = map[string]string{
	"AddKeystorePermission":         `{"keystore_id":"$FILE","user_id":"$USER","user_name":"x","usage":true,"modify":false,"delete":false,"setting":false,"can_absent":true}`,
	"ApplyProjectPermission":        `{"project_id":"$PROJECT","job_id":"$JOB","project_switch":true}`,
	"BatchDeleteBuildJobs":          `{"job_ids":["$FRESH"]}`,
	"BatchUpdateJobRolePermission":  `{"project_id":"$PROJECT","job_ids":["$FRESH"],"project_switch":false,"permissions":[{"role_id":6,"is_view":true}]}`,
	"CheckWebhookUrl":               `{"job_id":"$JOB","notice_type":"WECOM","webhook_url":"$ROBOT"}`,
	"CopyJob":                       `{"copy_job_id":"$JOB","project_id":"$PROJECT","job_name":"$NAME","arch":"$ARCH","steps":[]}`,
	"CreateBuildJob":                `{"project_id":"$PROJECT","job_name":"$NAME","arch":"$ARCH","steps":[]}`,
	"CreateJobGroup":                `{"name":"$NAME"}`,
	"CreateNewJob":                  `{"project_id":"$PROJECT","job_name":"$NAME","arch":"$ARCH","steps":[]}`,
	"CreateTemplate":                `{"name":"$NAME","template":{"steps":[{"module_id":"sh","name":"Run","properties":{"command":"true"}}]}}`,
	"CreateTemplates":               `{"name":"$NAME","template":{"steps":[{"module_id":"sh","name":"Run","properties":{"command":"true"}}]}}`,
	"DeleteRecyclingJobs":           `{"job_ids":["$DELETED"]}`,
	"DisableTheJob":                 `{"disabled":true,"reason":"for a while"}`,
	"ExecuteJob":                    `{"job_id":"$FRESH"}`,
	"ListBriefRecord":               `["$BUILD_PROJECT"]`,
	"ListRecommendOfficialTemplate": `{"git_url":"$REPO","branch":"main"}`,
	"MoveGroup":                     `{"group_id":"$GROUP","jobs":[{"job_id":"$FRESH"}]}`,
	"RestoreRecyclingJobs":          `{"job_ids":["$DELETED"]}`,
	"RunJob":                        `{"job_id":"$FRESH"}`,
	"SaveTemplateUsedInfo":          `{"job_id":"$JOB","template_id":"$TEMPLATE"}`,
	"SetKeepTime":                   `{"keep_time":7}`,
	"ShowDomainsStatuses":           `{"domain_ids":"$DOMAIN"}`,
	"ShowPackageSpecCountDown":      `{"service_type":"a","resource_id":"b","reminder_day":"7"}`,
	"StopJob":                       `{"job_id":"$RUNNING","build_no":"1"}`,
	"UpdateBuildJob":                `{"job_id":"$FRESH","project_id":"$PROJECT","job_name":"$NAME","arch":"$ARCH","steps":[]}`,
	"UpdateJobGroup":                `{"id":"$GROUP","name":"$NAME"}`,
	"UpdateKeystore":                `{"id":"$FILE","keystore_name":"release.jks","description":"","share":1}`,
	"UpdateKeystorePermission":      `{"id":"$GRANT","keystore_id":"$FILE","user_name":"x","usage":true,"modify":true,"delete":false}`,
	"UpdateNewJob":                  `{"job_id":"$FRESH","project_id":"$PROJECT","job_name":"$NAME","arch":"$ARCH","steps":[]}`,
	"UpdateNewNoticeNew":            `{"notice_type":"MESSAGE","enabled_event_type_names":["buildJobFail"]}`,
	"UpdateNotice":                  `{"notice_type":"MESSAGE","enabled_event_type_names":["buildJobFail"]}`,
}

// fields are the values of path and query parameters, by the name of the SDK's field. Those behind the name of an operation are its own.
var fields = map[string]string{
	"JobId": "$JOB", "ProjectId": "$PROJECT", "RecordId": "$RECORD", "BuildFlowRecordId": "$FLOW_RECORD", "BuildProjectId": "$BUILD_PROJECT", "DomainId": "$DOMAIN",
	"BuildNo": "1", "BuildNumber": "1", "Offset": "0", "Limit": "10", "PageIndex": "0", "PageSize": "10", "Interval": "7", "StartOffset": "0", "EndOffset": "0", "Size": "1000",
	"OriginalNo": "0", "RevisedlNo": "1", "RepositoryName": "app", "JobName": "free", "TaskName": "stage1", "NoticeType": "MAIL", "Arch": "$ARCH", "ImageId": "$IMAGE",
	"RootId": "$ROOT", "FileName": "release.jks", "Name": "release.jks", "Id": "$FILE", "KeystoreId": "$FILE", "Page": "1", "Uuid": "$TEMPLATE",
	"SourceGroupId": "$GROUP", "TargetGroupId": "$OTHER_GROUP", "StartTime": "$YESTERDAY_TIME", "EndTime": "$TOMORROW_TIME", "PermissionId": "$GRANT",

	"DeleteBuildJob JobId": "$FRESH", "DeleteTheJob JobId": "$FRESH", "DisableBuildJob JobId": "$FRESH", "DisableTheJob JobId": "$FRESH", "EnableBuildJob JobId": "$FRESH",
	"StopBuildJob JobId": "$RUNNING", "StopTheJob JobId": "$RUNNING", "ShowDisable JobId": "$DISABLED", "DeleteGroup Id": "$NEW_GROUP", "DeleteKeystore KeystoreId": "$NEW_FILE",
	"DeleteTemplate Uuid": "$NEW_TEMPLATE", "DeleteTemplates Uuid": "$NEW_TEMPLATE", "AddFavouriteOfficialTemplate Uuid": "$OFFICIAL", "RemoverFavouriteOfficialTemplate Uuid": "$OFFICIAL",
	"ShowListPeriodHistory StartTime": "$YESTERDAY", "ShowListPeriodHistory EndTime": "$TOMORROW", "ShowJobSuccessRatio StartTime": "$YESTERDAY", "ShowJobSuccessRatio EndTime": "$TOMORROW",
}

// fill replaces words with a dollar sign.
func (w *world) fill(text, robot string) string {
	now := time.Now()
	day := func(d int) time.Time { return now.AddDate(0, 0, d) }
	for word, value := range map[string]func() string{
		"$FLOW_RECORD": w.is(w.flowRecord), "$BUILD_PROJECT": w.is(w.buildProject), "$PROJECT": w.is(w.s.Project), "$RECORD": w.is(w.record), "$DOMAIN": w.is(w.domain),
		"$JOB": w.is(w.job), "$ARCH": w.is(servertest.Arch), "$IMAGE": w.is(w.image), "$ROOT": w.is(w.root), "$FILE": w.is(w.file), "$TEMPLATE": w.is(w.template),
		"$OFFICIAL": w.is(w.official), "$GROUP": w.is(w.groups[0]), "$OTHER_GROUP": w.is(w.groups[1]), "$REPO": w.is(w.repo), "$ROBOT": w.is(robot),
		"$YESTERDAY_TIME": w.is(day(-1).Format("2006-01-02 15:04:05")), "$TOMORROW_TIME": w.is(day(1).Format("2006-01-02 15:04:05")),
		"$YESTERDAY": w.is(day(-1).Format("2006-01-02")), "$TOMORROW": w.is(day(1).Format("2006-01-02")),
		"$FRESH": w.freshTask, "$RUNNING": w.runningTask, "$DELETED": w.deletedTask, "$GRANT": w.makeGrant, "$NEW_GROUP": w.makeGroup, "$NEW_TEMPLATE": w.makeTemplate,
		"$NEW_FILE": func() string { return w.makeFile(w.name("file") + ".pem") },
		"$NAME":     func() string { return w.name("name") },
		"$USER":     func() string { return w.s.NewUser(w.name("user")).ID },
		"$DISABLED": func() string {
			job := w.freshTask()
			w.must(w.sdk.DisableBuildJob(disable(job)))
			return job
		},
	} {
		// Whole words only: one may begin like another.
		if text == word || strings.Contains(text, word+`"`) {
			v := value()
			if text == word {
				return v
			}
			text = strings.ReplaceAll(text, `"`+word+`"`, `"`+v+`"`)
		}
	}
	return text
}

func (w *world) is(value string) func() string { return func() string { return value } }

// request makes the request of an operation from the tables.
func (w *world) request(operation string, t reflect.Type, robot string) reflect.Value {
	w.t.Helper()
	in := reflect.New(t)
	if operation == "UploadKeystore" {
		return reflect.ValueOf(w.upload("more.pem"))
	}
	for i := range t.NumField() {
		name, field := t.Field(i).Name, in.Elem().Field(i)
		if name == "Body" {
			body, ok := bodies[operation]
			if !ok {
				w.t.Errorf("%s needs a body", operation)
				continue
			}
			if err := json.Unmarshal([]byte(w.fill(body, robot)), field.Addr().Interface()); err != nil {
				w.t.Errorf("%s: %v", operation, err)
			}
			continue
		}
		if field.Kind() == reflect.Pointer && fields[operation+" "+name] == "" && name != "BuildNo" {
			continue // optional
		}
		value, ok := fields[operation+" "+name]
		if !ok {
			value, ok = fields[name]
		}
		if !ok {
			w.t.Errorf("%s needs a value for %s", operation, name)
		}
		value = w.fill(value, robot)
		if field.Kind() == reflect.Pointer {
			field.Set(reflect.New(field.Type().Elem()))
			field = field.Elem()
		}
		if field.Kind() == reflect.String {
			field.SetString(value)
		} else if _, err := fmt.Sscan(value, field.Addr().Interface()); err != nil {
			w.t.Errorf("%s: %s: %v", operation, name, err)
		}
	}
	return in
}
