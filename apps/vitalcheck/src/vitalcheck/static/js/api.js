// The only module that talks to the server.

const ROOT = new URL("../../", import.meta.url);

/** A path of the API as an address, wherever a proxy has put the app. */
export function addressOf(path) {
  return new URL(path.replace(/^\//, ""), ROOT);
}

/** What went wrong, as the server told it (RFC 9457); status 0: no answer at all. */
export class Problem extends Error {
  constructor(status, body = {}, headers = new Headers()) {
    super(body.title || body.detail || `The server answered ${status}`);
    this.status = status;
    this.title = body.title || this.message;
    this.detail = body.detail || "";
    this.errors = Array.isArray(body.errors) ? body.errors : [];
    this.isLoading = status === 503 && String(body.type ?? "").includes("not-ready");
    this.model = typeof body.model === "string" ? body.model : "";
    this.requestId = body.request_id || headers.get("x-request-id") || "";
    this.retryAfter = seconds(headers.get("retry-after"));
  }
}

function seconds(text) {
  const value = Number(text);
  return text !== null && Number.isFinite(value) && value >= 0 ? Math.max(1, Math.ceil(value)) : null;
}

/** Ask the server; resolves to the JSON of a 2xx answer, throws `Problem` for everything else. */
export async function ask(path, { method = "GET", json, form, signal } = {}) {
  const headers = { Accept: "application/json, application/problem+json" };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  const body = json === undefined ? form : JSON.stringify(json);
  let answer;
  try {
    answer = await fetch(addressOf(path), { method, headers, body, signal, cache: "no-store", credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { title: "The server cannot be reached", detail: "Check the connection and try again." });
  }
  const content = await contentOf(answer);
  if (!answer.ok || content === null) throw new Problem(answer.status, content ?? {}, answer.headers);
  return content;
}

async function contentOf(answer) {
  try {
    return await answer.json();
  } catch {
    return null;
  }
}

let description;

/** The OpenAPI document, fetched once; asked for again after a failure. */
export function openapi() {
  description ??= ask("/openapi.json").catch((error) => {
    description = undefined;
    throw error;
  });
  return description;
}
