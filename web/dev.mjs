// `make dev`: the pages with hot reload, and beside them the live API on the same origin.
// Next's own rewrites change the Host header, which the API's door compares with Origin, and gzip holds events back;
// here a request reaches the API as the browser has sent it.
import { createServer, request } from "node:http";
import next from "next";

const port = Number(process.env.PORT ?? 3000);
const api = new URL(process.env.API ?? "http://127.0.0.1:8000");
const server = createServer();
const app = next({ dev: true, hostname: "localhost", port, httpServer: server });
const pages = app.getRequestHandler();

function toApi(asked, answer) {
  const { hostname, port } = api;
  const told = request({ hostname, port, path: asked.url, method: asked.method, headers: asked.headers }, (from) => {
    answer.writeHead(from.statusCode ?? 502, from.headers);
    from.pipe(answer);
  });
  told.on("error", () => answer.destroy());
  answer.on("close", () => told.destroy());
  asked.pipe(told);
}

await app.prepare();
server.on("request", (asked, answer) => (asked.url?.startsWith("/api") ? toApi(asked, answer) : pages(asked, answer)));
server.listen(port, "localhost", () => console.log(`http://localhost:${port} with the API of ${api.origin}`));
