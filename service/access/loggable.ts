/** Removes credentials from what the log shows of a request. */

/** A token of `landfall token`, wherever it stands. */
const TOKEN = /lf_[\w-]{8,}/g;

/** The path without its query. A token in the path is masked. */
export function loggablePath(url: string): string {
  return url.replace(/[?#].*$/s, '').replace(TOKEN, '***');
}

/** The members of a request that the log may show. */
export function loggableRequest({ method, url }: { readonly method?: string; readonly url?: string }) {
  return { method, path: loggablePath(url ?? '') };
}
