import type { components } from "@/generated/schema";

type Problem = components["schemas"]["Problem"];

/** An answer that is not a success, in the reader's language. `status` 0 and code `unreachable`: there was no answer. */
export class Failure extends Error {
  readonly code: string;
  readonly hint: string;
  readonly fields: NonNullable<Problem["fields"]>;

  constructor(
    readonly status: number,
    problem: Problem,
  ) {
    super(problem.message);
    this.code = problem.code;
    this.hint = problem.hint;
    this.fields = problem.fields ?? [];
  }

  static unreachable(): Failure {
    return new Failure(0, { code: "unreachable", message: "", hint: "" });
  }

  static async of(answer: Response): Promise<Failure> {
    try {
      const body = (await answer.json()) as { error: Problem };
      return new Failure(answer.status, body.error);
    } catch {
      return Failure.unreachable(); // something between us and the server has answered
    }
  }

  /** What is wrong with a field of the form, by its path in the request: `recipe.rank`. */
  problemOf(field: string): string | undefined {
    return this.fields.find((one) => one.field === field)?.problem;
  }
}

/** Whether asking again may help by itself. */
export function isPassing(error: unknown): boolean {
  return error instanceof Failure && (error.status === 0 || error.status === 503);
}

export function isSignedOut(error: unknown): boolean {
  return error instanceof Failure && error.status === 401;
}
