import { type Loopback, startLoopback } from './loopback.ts';

/** What a stub throws to refuse a call. */
export class Refusal extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

type Call = { id: unknown; method: string; params: unknown[] };

/** A JSON-RPC server whose answers a test gives. Closed when the test ends. */
export function startStubNode(answer: (method: string, params: unknown[]) => unknown): Promise<Loopback> {
  const respond = ({ id, method, params }: Call) => {
    try {
      return { jsonrpc: '2.0', id, result: answer(method, params) };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { jsonrpc: '2.0', id, error: { code: error.code, message: error.message } };
    }
  };
  return startLoopback((request, response) => {
    const body = JSON.parse(request.body.toString('utf8')) as Call | Call[];
    const answers = Array.isArray(body) ? body.map(respond) : respond(body);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answers));
  });
}
