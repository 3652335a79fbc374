import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

import org.apache.cassandra.auth.IResource;
import org.apache.cassandra.auth.RoleOptions;
import org.apache.cassandra.config.DatabaseDescriptor;
import org.apache.cassandra.cql3.CQL3Type;
import org.apache.cassandra.cql3.CQLFragmentParser;
import org.apache.cassandra.cql3.CQLStatement;
import org.apache.cassandra.cql3.ColumnIdentifier;
import org.apache.cassandra.cql3.CqlParser;
import org.apache.cassandra.cql3.QualifiedName;
import org.apache.cassandra.cql3.Relation;
import org.apache.cassandra.cql3.Term;
import org.apache.cassandra.cql3.UTName;
import org.apache.cassandra.cql3.VariableSpecifications;
import org.apache.cassandra.cql3.functions.FunctionName;
import org.apache.cassandra.cql3.statements.SelectStatement;
import org.slf4j.LoggerFactory;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;

/**
 * Cassandra's own parser, of whichever release is on the class path, without a server.
 *
 * In: a line a text, its UTF-8 in hex. Out: a line of JSON for each: {"refused": why}, or
 * {"class": raw statement, "fields": its own fields that hold names and plain values, "functions": names of
 * the functions called anywhere in it, "restricted": columns of its WHERE clause, "markers": names of bind
 * markers, null for "?", "children": the same of a batch's statements}.
 */
public final class ParserOracle {
    private ParserOracle() {
    }

    public static void main(String[] arguments) throws Exception {
        // Standard output is for answers alone.
        ((Logger) LoggerFactory.getLogger(Logger.ROOT_LOGGER_NAME)).setLevel(Level.OFF);
        DatabaseDescriptor.clientInitialization();
        // Deep texts need more stack than a main thread has.
        Thread thread = new Thread(null, ParserOracle::serve, "parser", 64L << 20);
        thread.start();
        thread.join();
    }

    private static void serve() {
        try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
             PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false, "UTF-8")) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                out.println(json(answer(new String(bytes(line), StandardCharsets.UTF_8))));
            }
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    private static Object answer(String text) {
        try {
            CQLStatement.Raw raw = CQLFragmentParser.parseAnyUnhandled(CqlParser::query, text);
            return described(raw);
        } catch (StackOverflowError e) {
            return Map.of("refused", "java.lang.StackOverflowError");
        } catch (Exception e) {
            return Map.of("refused", e.getClass().getSimpleName() + ": " + e.getMessage());
        }
    }

    private static Map<String, Object> described(CQLStatement.Raw raw) throws IllegalAccessException {
        Map<String, Object> told = new TreeMap<>();
        String name = raw.getClass().getName();
        told.put("class", name.substring(name.lastIndexOf('.') + 1));
        Map<String, Object> fields = new TreeMap<>();
        List<Object> children = new ArrayList<>();
        for (Class<?> type = raw.getClass(); type != null && type != Object.class; type = type.getSuperclass()) {
            for (Field field : type.getDeclaredFields()) {
                if (Modifier.isStatic(field.getModifiers())) {
                    continue;
                }
                field.setAccessible(true);
                Object value = field.get(raw);
                if (value instanceof Collection<?> list && !list.isEmpty()
                    && list.iterator().next() instanceof CQLStatement.Raw) {
                    for (Object child : list) {
                        children.add(described((CQLStatement.Raw) child));
                    }
                    continue;
                }
                if (value instanceof VariableSpecifications) {
                    told.put("markers", markers(value));
                    continue;
                }
                Object plain = plain(value);
                if (plain != null) {
                    fields.put(field.getName(), plain);
                }
            }
        }
        told.put("fields", fields);
        if (!children.isEmpty()) {
            told.put("children", children);
        }
        Set<String> functions = new TreeSet<>();
        Set<String> restricted = new TreeSet<>();
        walk(raw, functions, restricted, new IdentityHashMap<>(), 0);
        told.put("functions", functions);
        told.put("restricted", restricted);
        return told;
    }

    private static List<Object> markers(Object specifications) throws IllegalAccessException {
        List<Object> names = new ArrayList<>();
        for (Field field : VariableSpecifications.class.getDeclaredFields()) {
            if (field.getName().equals("variableNames")) {
                field.setAccessible(true);
                for (Object name : (Collection<?>) field.get(specifications)) {
                    names.add(name == null ? null : name.toString());
                }
            }
        }
        return names;
    }

    /** A name or plain value as JSON has it; null for everything else. */
    private static Object plain(Object value) throws IllegalAccessException {
        if (value instanceof QualifiedName name) {
            return pair(name.hasKeyspace() ? name.getKeyspace() : null, name.getName());
        }
        if (value instanceof UTName name) {
            return pair(name.hasKeyspace() ? name.getKeyspace() : null, name.getStringTypeName());
        }
        if (value instanceof FunctionName name) {
            return pair(name.keyspace, name.name);
        }
        if (value instanceof IResource resource) {
            return resource.getName();
        }
        if (value instanceof String || value instanceof Boolean) {
            return value;
        }
        if (value instanceof Enum<?> one) {
            return one.name();
        }
        if (value instanceof ColumnIdentifier || value instanceof CQL3Type.Raw) {
            return value.toString();
        }
        if (value instanceof Term.Raw) {
            return true;
        }
        if (value instanceof RoleOptions || value instanceof SelectStatement.Parameters) {
            Map<String, Object> inner = new TreeMap<>();
            for (Field field : value.getClass().getDeclaredFields()) {
                field.setAccessible(true);
                Object part = field.get(value);
                if (part instanceof Map<?, ?> options) {
                    for (Map.Entry<?, ?> option : options.entrySet()) {
                        // No option's value but a yes or no.
                        inner.put(option.getKey().toString(), option.getValue() instanceof Boolean yes ? yes : "");
                    }
                } else {
                    inner.put(field.getName(), part instanceof Collection<?> list ? !list.isEmpty() : plain(part));
                }
            }
            return inner;
        }
        if (value instanceof Collection<?> list) {
            List<Object> all = new ArrayList<>();
            for (Object item : list) {
                Object plain = plain(item);
                if (plain != null) {
                    all.add(plain);
                }
            }
            return all.isEmpty() && !list.isEmpty() ? true : all;
        }
        return null;
    }

    private static List<Object> pair(String keyspace, String name) {
        List<Object> pair = new ArrayList<>();
        pair.add(keyspace);
        pair.add(name);
        return pair;
    }

    /** What hangs on a statement: functions, Cassandra's own for operators left out, and restricted columns. */
    private static void walk(Object at, Set<String> functions, Set<String> restricted, Map<Object, Object> seen,
                             int depth) throws IllegalAccessException {
        if (at == null || depth > 2000 || seen.put(at, at) != null) {
            return;
        }
        if (at instanceof FunctionName name) {
            boolean operator = name.name.startsWith("_") || name.name.startsWith("cast_as_") || name.name.startsWith("castAs");
            if (!"system".equals(name.keyspace) || !operator) {
                functions.add((name.keyspace == null ? "" : name.keyspace) + "." + name.name);
            }
            return;
        }
        if (at instanceof Collection<?> list) {
            for (Object item : list) {
                walk(item, functions, restricted, seen, depth + 1);
            }
            return;
        }
        if (at instanceof Map<?, ?> map) {
            walk(map.keySet(), functions, restricted, seen, depth + 1);
            walk(map.values(), functions, restricted, seen, depth + 1);
            return;
        }
        Class<?> type = at.getClass();
        if (type.isArray() && !type.getComponentType().isPrimitive()) {
            for (Object item : (Object[]) at) {
                walk(item, functions, restricted, seen, depth + 1);
            }
            return;
        }
        boolean holder = type.getName().startsWith("org.apache.cassandra.cql3")
            || type.getName().equals("org.apache.cassandra.utils.Pair");
        if (!holder || at instanceof Enum<?>) {
            return;
        }
        for (; type != null && type != Object.class; type = type.getSuperclass()) {
            for (Field field : type.getDeclaredFields()) {
                if (Modifier.isStatic(field.getModifiers()) || field.getType().isPrimitive()) {
                    continue;
                }
                field.setAccessible(true);
                Object value = field.get(at);
                if (at instanceof Relation && (field.getName().equals("entity") || field.getName().equals("entities"))) {
                    for (Object column : value instanceof Collection<?> list ? list : List.of(value)) {
                        restricted.add(column.toString());
                    }
                    continue;
                }
                walk(value, functions, restricted, seen, depth + 1);
            }
        }
    }

    private static byte[] bytes(String hex) {
        byte[] bytes = new byte[hex.length() / 2];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) Integer.parseInt(hex, 2 * i, 2 * i + 2, 16);
        }
        return bytes;
    }

    private static String json(Object value) {
        if (value == null || value instanceof Boolean) {
            return String.valueOf(value);
        }
        StringBuilder out = new StringBuilder();
        if (value instanceof Map<?, ?> map) {
            String separator = "{";
            for (Map.Entry<?, ?> entry : map.entrySet()) {
                out.append(separator).append(json(entry.getKey())).append(':').append(json(entry.getValue()));
                separator = ",";
            }
            return out.append(map.isEmpty() ? "{}" : "}").toString();
        }
        if (value instanceof Collection<?> list) {
            String separator = "[";
            for (Object item : list) {
                out.append(separator).append(json(item));
                separator = ",";
            }
            return out.append(list.isEmpty() ? "[]" : "]").toString();
        }
        out.append('"');
        // Errors may quote half of a character; as bytes it becomes a question mark.
        String text = new String(value.toString().getBytes(StandardCharsets.UTF_8), StandardCharsets.UTF_8);
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c < ' ' || c > '~') {
                out.append(String.format("\\u%04x", (int) c));
            } else {
                out.append(c);
            }
        }
        return out.append('"').toString();
    }
}
