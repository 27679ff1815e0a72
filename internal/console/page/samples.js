// Programs that send the request on screen: with the vendor's SDKs where they have the operation, and over plain HTTP where they do not.
//
// A request is {id, method, path, origin, path values by name, query, headers, body, form}; the table tells what the SDKs call things.

export const languages = { go: "Go", java: "Java", python: "Python", curl: "curl" };

// sample returns a program as text.
export function sample(language, request, table) {
  const typed = table.requests[request.id];
  switch (language) {
    case "go": return typed ? goSDK(request, table) : goHTTP(request);
    case "java": return typed ? javaSDK(request, table) : javaHTTP(request);
    case "python": return typed ? pythonSDK(request, table) : pythonHTTP(request);
    default: return curl(request);
  }
}

// address returns the whole address of a request.
export function address(request) {
  const path = request.path.replace(/\{(\w+)\}/g, (_, name) => {
    const value = String(request.values[name] ?? "");
    return name === "file" ? value.split("/").map(encodeURIComponent).join("/") : encodeURIComponent(value);
  });
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(request.query)) {
    for (const one of Array.isArray(value) ? value : [value]) query.append(name, one);
  }
  const text = query.toString();
  return request.origin + path + (text && "?" + text);
}

// quote returns a string literal that Go, Java and Python read alike: JSON's, without what one of them does not take in a source.
export function quote(value) {
  const hard = /[\u007f-\u009f\u2028\u2029\ufeff]/g;
  return JSON.stringify(String(value).toWellFormed()).replace(hard, (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"));
}

// word returns a word of a shell's command line.
export function word(value) {
  return "'" + String(value).toWellFormed().replaceAll("\0", "").replaceAll("'", `'\\''`) + "'";
}

const indent = (text, by) => text.replaceAll("\n", "\n" + by);
const json = (value) => JSON.stringify(value, null, 2);

// parameters are the values of an SDK's request: those of the path and the query, and the body.
function parameters(request) {
  const all = { ...request.values, ...request.query };
  if (request.body !== undefined) all.body = request.body;
  return all;
}

// fields pairs the values that a type has with what it calls them. What it does not know is put into missing.
function fields(type, values, table, missing) {
  const known = table.types[type] ?? {};
  return Object.entries(values).flatMap(([key, value]) => {
    if (value === null) return [];
    if (!known[key]) {
      missing.push(key);
      return [];
    }
    return [{ key, name: known[key][0], type: known[key][1], value }];
  });
}

const remarks = (mark, missing) => missing.length === 0 ? "" : `${mark} The SDK has no field for ${missing.join(", ")}.\n`;

// whole returns a number as text, also one that was typed as text; 0 for what is none.
function whole(value) {
  const n = Number(value);
  return Number.isSafeInteger(n) ? String(n) : "0";
}

const truth = (value) => value === true || value === "true";
const list = (value) => Array.isArray(value) ? value : [value];
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

// Go

function goSDK(request, table) {
  const missing = [];
  const upload = request.form !== undefined;
  const literal = goValue(table.requests[request.id], upload ? { body: request.form } : parameters(request), table, missing);
  const usesPointers = literal.includes("pointer(");
  const usesParts = literal.includes("def.");
  const headers = Object.entries(request.headers);
  if (headers.length > 0) missing.push(...headers.map(([name]) => "the header " + name));
  return `package main

import (
	"fmt"
	"os"

	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/auth/basic"
${usesParts ? '	"github.com/huaweicloud/huaweicloud-sdk-go-v3/core/def"\n' : ""}	codeartsbuild "github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3"
	"github.com/huaweicloud/huaweicloud-sdk-go-v3/services/codeartsbuild/v3/model"
)

func main() {
	credentials, err := basic.NewCredentialsBuilder().
		WithAk(os.Getenv("HUAWEICLOUD_SDK_AK")).
		WithSk(os.Getenv("HUAWEICLOUD_SDK_SK")).
		WithProjectId(os.Getenv("HUAWEICLOUD_SDK_PROJECT_ID")).
		SafeBuild()
	check(err)
	http, err := codeartsbuild.CodeArtsBuildClientBuilder().
		WithEndpoint(${quote(request.origin)}).
		WithCredential(credentials).
		SafeBuild()
	check(err)
	client := codeartsbuild.NewCodeArtsBuildClient(http)
${usesParts ? `	file, err := os.Open(${quote(request.form.file)})\n	check(err)\n	defer file.Close()\n` : ""}
${remarks("	//", missing)}	request := &model.${indent(literal, "\t")}
	response, err := client.${request.id}(request)
	check(err)
	fmt.Println(response)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
${usesPointers ? "\nfunc pointer[T any](value T) *T { return &value }\n" : ""}`;
}

// goValue returns a composite literal, without the package before it.
function goValue(type, values, table, missing) {
  const lines = fields(type, values, table, missing).map((f) => `\t${f.name}: ${indent(goField(f.type, f.value, table, missing), "\t")},\n`);
  return lines.length === 0 ? `${type}{}` : `${type}{\n${lines.join("")}}`;
}

function goField(type, value, table, missing) {
  const pointer = type.startsWith("*");
  const plain = pointer ? type.slice(1) : type;
  switch (plain) {
    case "def.FilePart": return "def.NewFilePart(file)";
    case "def.MultiPart": return `def.NewMultiPart(${quote(value)})`;
  }
  if (table.types[plain]) {
    return (pointer ? "&" : "") + "model." + goValue(plain, isObject(value) ? value : {}, table, missing);
  }
  const text = goPlain(plain, value, table, missing);
  return pointer ? `pointer(${text})` : text;
}

function goPlain(type, value, table, missing) {
  if (type.startsWith("[]")) {
    const element = type.slice(2);
    const typeName = table.types[element] ? "model." + element : element;
    const items = list(value).map((one) => `\t${indent(goField(element, one, table, missing), "\t")},\n`);
    return items.length === 0 ? `[]${typeName}{}` : `[]${typeName}{\n${items.join("")}}`;
  }
  switch (type) {
    case "string": return quote(typeof value === "object" ? JSON.stringify(value) : value);
    case "bool": return String(truth(value));
    case "int32": return pointerSafe(whole(value));
  }
  return goAny(value); // a map, or anything
}

// A whole number alone would be an int to a function of any type.
const pointerSafe = (number) => `int32(${number})`;

function goAny(value) {
  if (value === null) return "nil";
  if (Array.isArray(value)) return `[]any{${value.map(goAny).join(", ")}}`;
  if (isObject(value)) return `map[string]any{${Object.entries(value).map(([k, v]) => `${quote(k)}: ${goAny(v)}`).join(", ")}}`;
  return typeof value === "string" ? quote(value) : String(value);
}

function goHTTP(request) {
  const body = bodyText(request);
  return `package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
${body ? '	"strings"\n' : ""})

func main() {
	request, err := http.NewRequest(${quote(request.method)}, ${quote(address(request))}, ${body ? `strings.NewReader(${quote(body)})` : "nil"})
	check(err)
${httpHeaders(request).map(([name, value]) => `	request.Header.Set(${quote(name)}, ${value.env ? `os.Getenv(${quote(value.env)})` : quote(value)})\n`).join("")}	response, err := http.DefaultClient.Do(request)
	check(err)
	defer response.Body.Close()
	fmt.Println(response.Status)
	_, err = io.Copy(os.Stdout, response.Body)
	check(err)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
`;
}

// Java

const lowerFirst = (name) => name[0].toLowerCase() + name.slice(1);

function javaSDK(request, table) {
  const missing = [];
  const upload = request.form !== undefined;
  const type = table.requests[request.id];
  const value = javaValue(type, upload ? { body: request.form } : parameters(request), table, missing);
  missing.push(...Object.keys(request.headers).map((name) => "the header " + name));
  return `import com.huaweicloud.sdk.codeartsbuild.v3.CodeArtsBuildClient;
import com.huaweicloud.sdk.codeartsbuild.v3.model.*;
import com.huaweicloud.sdk.core.auth.BasicCredentials;
${value.includes("JsonUtils.") ? "import com.huaweicloud.sdk.core.utils.JsonUtils;\n" : ""}${upload ? "import java.io.FileInputStream;\n" : ""}${value.includes("List.of(") ? "import java.util.List;\n" : ""}${value.includes("Map.class") ? "import java.util.Map;\n" : ""}
public class Sample {
    public static void main(String[] args) throws Exception {
        CodeArtsBuildClient client = CodeArtsBuildClient.newBuilder()
            .withCredential(new BasicCredentials()
                .withAk(System.getenv("HUAWEICLOUD_SDK_AK"))
                .withSk(System.getenv("HUAWEICLOUD_SDK_SK"))
                .withProjectId(System.getenv("HUAWEICLOUD_SDK_PROJECT_ID")))
            .withEndpoint(${quote(request.origin)})
            .build();

${remarks("        //", missing)}        ${type} request = ${indent(value, "        ")};
        System.out.println(client.${lowerFirst(request.id)}(request));
    }
}
`;
}

function javaValue(type, values, table, missing) {
  const calls = fields(type, values, table, missing).map((f) => {
    if (f.type === "*def.FilePart") return `\n    .withFile(new FileInputStream(${quote(f.value)}), ${quote(f.value)})`;
    return `\n    .with${f.name}(${indent(javaField(f.type.replace(/^\*/, ""), f.value, table, missing), "    ")})`;
  });
  return `new ${type}()${calls.join("")}`;
}

function javaField(type, value, table, missing) {
  if (type.startsWith("[]")) return `List.of(${list(value).map((one) => javaField(type.slice(2), one, table, missing)).join(", ")})`;
  if (table.types[type]) return javaValue(type, isObject(value) ? value : {}, table, missing);
  switch (type) {
    case "string": case "def.MultiPart": return quote(typeof value === "object" ? JSON.stringify(value) : value);
    case "bool": return String(truth(value));
    case "int32": return whole(value);
  }
  return `JsonUtils.toObject(${quote(JSON.stringify(value))}, ${isObject(value) ? "Map" : "Object"}.class)`;
}

function javaHTTP(request) {
  const body = bodyText(request);
  return `import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Sample {
    public static void main(String[] args) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(${quote(address(request))}))
            .method(${quote(request.method)}, ${body ? `HttpRequest.BodyPublishers.ofString(${quote(body)})` : "HttpRequest.BodyPublishers.noBody()"})
${httpHeaders(request).map(([name, value]) => `            .header(${quote(name)}, ${value.env ? `System.getenv(${quote(value.env)})` : quote(value)})\n`).join("")}            .build();
        HttpResponse<String> response = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(response.statusCode());
        System.out.println(response.body());
    }
}
`;
}

// Python

const snake = (name) => name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").replace(/([A-Z])([A-Z][a-z])/g, "$1_$2").toLowerCase();

function pythonSDK(request, table) {
  const missing = [];
  const upload = request.form !== undefined;
  const type = table.requests[request.id];
  const value = pythonValue(type, upload ? { body: request.form } : parameters(request), table, missing);
  missing.push(...Object.keys(request.headers).map((name) => "the header " + name));
  return `import os

from huaweicloudsdkcore.auth.credentials import BasicCredentials
${upload ? "from huaweicloudsdkcore.http.formdata import FormFile\n" : ""}from huaweicloudsdkcodeartsbuild.v3 import *

client = CodeArtsBuildClient.new_builder() \\
    .with_credentials(BasicCredentials(
        os.environ["HUAWEICLOUD_SDK_AK"],
        os.environ["HUAWEICLOUD_SDK_SK"],
        os.environ["HUAWEICLOUD_SDK_PROJECT_ID"])) \\
    .with_endpoint(${quote(request.origin)}) \\
    .build()

${remarks("#", missing)}request = ${value}
print(client.${snake(request.id)}(request))
`;
}

function pythonValue(type, values, table, missing) {
  const parts = fields(type, values, table, missing).map((f) => `\n    ${f.key}=${indent(pythonField(f.type.replace(/^\*/, ""), f.value, table, missing), "    ")}`);
  return `${type}(${parts.join(",")})`;
}

function pythonField(type, value, table, missing) {
  if (type.startsWith("[]")) return `[${list(value).map((one) => pythonField(type.slice(2), one, table, missing)).join(", ")}]`;
  if (table.types[type]) return pythonValue(type, isObject(value) ? value : {}, table, missing);
  switch (type) {
    case "string": case "def.MultiPart": return quote(typeof value === "object" ? JSON.stringify(value) : value);
    case "bool": return truth(value) ? "True" : "False";
    case "int32": return whole(value);
    case "def.FilePart": return `FormFile(open(${quote(value)}, "rb"))`;
  }
  return pythonAny(value);
}

function pythonAny(value) {
  if (value === null) return "None";
  if (Array.isArray(value)) return `[${value.map(pythonAny).join(", ")}]`;
  if (isObject(value)) return `{${Object.entries(value).map(([k, v]) => `${quote(k)}: ${pythonAny(v)}`).join(", ")}}`;
  if (typeof value === "boolean") return value ? "True" : "False";
  return typeof value === "string" ? quote(value) : String(value);
}

function pythonHTTP(request) {
  const body = bodyText(request);
  return `import os
import urllib.request

request = urllib.request.Request(
    ${quote(address(request))},
    method=${quote(request.method)},${body ? `\n    data=${quote(body)}.encode(),` : ""}
    headers={${httpHeaders(request).map(([name, value]) => `\n        ${quote(name)}: ${value.env ? `os.environ[${quote(value.env)}]` : quote(value)},`).join("")}
    })
with urllib.request.urlopen(request) as response:
    print(response.status, response.read().decode())
`;
}

// HTTP

// bodyText returns the JSON that is sent, empty for none.
function bodyText(request) {
  return request.body === undefined ? "" : json(request.body);
}

// httpHeaders returns the headers of a request; the value of one is the name of a variable in the environment.
function httpHeaders(request) {
  const all = Object.entries(request.headers);
  if (!request.open) all.unshift(["X-Auth-Token", { env: "ATELIER_TOKEN" }]);
  if (request.body !== undefined) all.push(["Content-Type", "application/json"]);
  return all;
}

function curl(request) {
  const parts = [`curl ${request.method === "HEAD" ? "--head" : "-X " + request.method} ${word(address(request))}`];
  for (const [name, value] of httpHeaders(request)) parts.push(value.env ? `-H "${name}: $${value.env}"` : `-H ${word(`${name}: ${value}`)}`);
  if (request.form !== undefined) {
    for (const [name, value] of Object.entries(request.form)) parts.push(name === "file" ? `-F ${word(`file=@${value}`)}` : `--form-string ${word(`${name}=${value}`)}`);
  }
  const body = bodyText(request);
  if (body) parts.push(`--data-binary ${word(body)}`);
  return parts.join(" \\\n  ") + "\n";
}
