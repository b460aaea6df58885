// SPDX-License-Identifier: Apache-2.0
// A proxied application, run as "java Visits.java PORT": a POST counts a visit.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;

public class Visits {
    static void answer(HttpExchange exchange) throws IOException {
        String visits = exchange.getRequestHeaders().getFirst("Django-Session-Visits");
        if (exchange.getRequestMethod().equals("POST")) {
            exchange.getResponseHeaders().add("Django-Session-Update", "{\"increment\": {\"visits\": 1}}");
            exchange.getResponseHeaders().add("Django-Session-Set", "received_by=Java%2C proxied");
        }
        byte[] page = ("Visits before this one: " + (visits == null ? "0" : visits) + "\n")
            .getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(200, page.length);
        exchange.getResponseBody().write(page);
        exchange.close();
    }

    public static void main(String[] args) throws IOException {
        int port = Integer.parseInt(args[0]);
        HttpServer server
            = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        server.createContext("/", Visits::answer);
        server.start();
    }
}
