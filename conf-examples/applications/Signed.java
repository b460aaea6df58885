// SPDX-License-Identifier: Apache-2.0
// A proxied application, run as "java Signed.java PORT": shows the session, if its header is genuine
// and not older than 30 seconds.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Base64;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Signed {
    static final String DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    static byte[] sign(String text, String secret) throws GeneralSecurityException {
        byte[] key = MessageDigest.getInstance("SHA-256").digest(
            ("mod_django_session.headersigner" + secret).getBytes(StandardCharsets.UTF_8));
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        return Base64.getUrlEncoder().withoutPadding().encode(
            mac.doFinal(text.getBytes(StandardCharsets.UTF_8)));
    }

    /** The session that a header of mod_django_session holds, as JSON; null: not genuine, or too old. */
    static byte[] session(String header, String secret, long maxAge) throws GeneralSecurityException {
        String[] parts = header == null ? new String[0] : header.split(":", -1);
        if (parts.length != 3
            || !MessageDigest.isEqual(sign(parts[0] + ":" + parts[1], secret),
                                      parts[2].getBytes(StandardCharsets.UTF_8))) {
            return null;
        }
        long signed = 0;
        for (char digit : parts[1].toCharArray()) {
            signed = 62 * signed + DIGITS.indexOf(digit);
        }
        boolean old = System.currentTimeMillis() / 1000 - signed > maxAge;
        return old ? null : Base64.getUrlDecoder().decode(parts[0]);
    }

    static void answer(HttpExchange exchange) throws IOException {
        String secret = Files.readString(Path.of("/srv/site/secret-key")).stripTrailing();
        byte[] page;
        try {
            page = session(exchange.getRequestHeaders().getFirst("Django-Session"), secret, 30);
        } catch (GeneralSecurityException e) {
            throw new IOException(e);
        }
        int status = page == null ? 403 : 200;
        page = page == null ? "Not signed by the site, or too old.".getBytes() : page;
        exchange.sendResponseHeaders(status, page.length);
        exchange.getResponseBody().write(page);
        exchange.close();
    }

    public static void main(String[] args) throws IOException {
        HttpServer server = HttpServer.create(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(args[0])), 0);
        server.createContext("/", Signed::answer);
        server.start();
    }
}
