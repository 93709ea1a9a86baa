/** An error of the lab: a stable code, the cause, and the remedy. */
export class LabError extends Error {
  override readonly name = 'LabError';
  readonly code: string;

  constructor(code: string, cause: string, remedy: string) {
    super(`${code}: ${cause} ${remedy}`);
    this.code = code;
  }
}
