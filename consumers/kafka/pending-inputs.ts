/** Counts the delivered inputs whose commit is pending, and lets a consumer wait until their number is below a limit. */
export class PendingInputs {
  #inputs = 0;
  #bytes = 0;
  #waiters: (() => void)[] = [];

  get inputs(): number {
    return this.#inputs;
  }

  /** Counts inputs until the returned function is called. */
  add(inputs: number, bytes: number): () => void {
    this.#inputs += inputs;
    this.#bytes += bytes;
    return () => {
      this.#inputs -= inputs;
      this.#bytes -= bytes;
      this.recheck();
    };
  }

  hasReached({ inputs, bytes }: Limit): boolean {
    return this.#inputs >= inputs || this.#bytes >= bytes;
  }

  /** Resolves at the next change. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** Lets every waiting consumer check its limit again. */
  recheck(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }
}

/** The largest number of pending inputs and of their bytes. */
export type Limit = { readonly inputs: number; readonly bytes: number };
